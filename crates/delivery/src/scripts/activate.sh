number=$1
lock
live=$(current)
if [ "$number" -eq "$live" ]; then
    echo already
    exit 0
fi
[ "$number" -gt "$live" ] || fail 82 "$live"
[ -f "$root/releases/$number/MANIFEST" ] || fail 81 "release $number is missing"
[ -f "$root/releases/$number.tested" ] || fail 1 "release $number has not passed its test"
flip "$number"
echo "$live"
