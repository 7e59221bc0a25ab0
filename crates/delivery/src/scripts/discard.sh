number=$1
[ "$number" -ne "$(current)" ] || fail 82 "$number"
cd "$root/releases"
rm -rf "./$number" "./$number.partial" "./$number.tested"
