failed=$1 previous=$2
lock
live=$(current)
[ "$live" -ne "$previous" ] || exit 0
[ "$live" -eq "$failed" ] || fail 82 "$live"
if [ "$previous" -eq 0 ]; then
    rm -f "$root/current"
    exit 0
fi
[ -f "$root/releases/$previous/MANIFEST" ] || fail 81 "release $previous is missing"
flip "$previous"
