conf=$1
shift
said=$("$@" -c "$conf" -s reload 2>&1) || fail 86 "$said"
