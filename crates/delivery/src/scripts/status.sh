live=$(current)
if [ "$live" -gt 0 ] && verify "$root/releases/$live" >/dev/null; then
    echo "$live verified"
else
    echo "$live differs"
fi
