# Writes env.sh with the credentials of the running lake.
lakeward lake env --show-secret | grep ^AZURE_ >env.sh
