number=$1
partial=$root/releases/$number.partial
cat >"$partial/MANIFEST"
if ! differs=$(verify "$partial"); then
    rm -rf "$partial"
    fail 81 "$differs"
fi
mv -T "$partial" "$root/releases/$number"
