# Waits until the lake of the data directory is ready.
i=0
until lakeward lake env >/dev/null 2>&1; do
  i=$((i + 1))
  test $i -lt 100 || exit 1
  sleep 0.1
done
