cd "$root/live"
while IFS= read -r path; do
    rm -f "./$path"
done
