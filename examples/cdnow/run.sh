#!/bin/sh
# Takes the CDNOW data from CSV files to a local lake. Run it in the root of the repository, with
# lakeward on the PATH; the data directory is LAKEWARD_DATA or ./lakeward-data and must be a new one.
set -eu
: "${LAKEWARD_DATA:=./lakeward-data}"
export LAKEWARD_DATA

# A lake to deliver to. With a real account, leave this out and use its url and credentials below.
lakeward lake serve &
lake=$!
trap 'kill $lake' EXIT
until lakeward lake env >/dev/null 2>&1; do sleep 0.1; done
eval "$(lakeward lake env --show-secret | grep ^AZURE_)"

lakeward namespace create CDNOW --type 'Cross-Device ID'
lakeward schema create customer --file examples/cdnow/customer.json
lakeward schema create purchase --file examples/cdnow/purchase.json --class event
lakeward dataset create customers --schema customer
lakeward dataset create purchases --schema purchase
lakeward dataset upload customers testdata/cdnow/customers.csv
lakeward dataset upload purchases testdata/cdnow/purchases.csv
lakeward audience create 'Loyal' --rule 'orders >= 5 and total > 200'
lakeward audience evaluate

printf %s "$AZURE_CLIENT_SECRET" | lakeward account create lake --url abfss://exports@local.dfs.lake.internal \
  --tenant "$AZURE_TENANT_ID" --client-id "$AZURE_CLIENT_ID" --key-file -
lakeward destination create files --account lake --path cdnow --compression NONE --manifest
lakeward dataflow create loyal --destination files --audience Loyal \
  --map identityMap.CDNOW=customer --map first_purchase --map orders --map items --map total=dollars
lakeward dataflow run loyal
