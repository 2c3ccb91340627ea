"""Works with a local lake as Python tools do, with clients that Lakeward's developers did not write.

The environment is what `lakeward lake env --show-secret` prints: a proxy that leads the service's own host
names to the lake, its certificate authority and the credentials of an application. LAKE_HTTP and
LAKE_KEY are its plain port and an account key. Every check that fails raises.
"""

import os
import random

import fsspec
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.filedatalake import DataLakeServiceClient

checks = 0


def check(ok, what):
    global checks
    checks += 1
    if not ok:
        raise SystemExit(f"failed: {what}")


def raises(kind, what, call):
    try:
        call()
    except kind as e:
        check(True, what)
        return e
    raise SystemExit(f"no {kind.__name__}: {what}")


def data_lake(service):
    fs = service.create_file_system("python-sdk")
    raises(ResourceExistsError, "a file system that exists", lambda: service.create_file_system("python-sdk"))
    check("python-sdk" in [f.name for f in service.list_file_systems()], "list_file_systems")
    check(fs.get_file_system_properties().name == "python-sdk", "properties of a file system")
    for name in ["plain.csv", "ü mit Leerzeichen #&=+.csv", "d/e/f.csv", "汉字/文件"]:
        f = fs.create_file(name, metadata={"who": "me"})
        data = random.Random(name).randbytes(300_000)
        f.append_data(data[:100_000], 0, length=100_000)
        f.append_data(data[100_000:], 100_000, length=200_000)
        f.flush_data(300_000)
        check(f.get_file_properties().size == 300_000, f"size of {name}")
        check(f.download_file().readall() == data, f"content of {name}")
        check(f.download_file(offset=10, length=20).readall() == data[10:30], f"range of {name}")
        check(f.get_file_properties().metadata == {"who": "me"}, f"metadata of {name}")
        moved = f.rename_file(f"python-sdk/moved {name}" if "/" not in name else f"python-sdk/{name} moved")
        check(moved.download_file().readall() == data, f"content of {name} after a rename")
        raises(ResourceNotFoundError, f"{name} after its rename", f.get_file_properties)
        moved.upload_data(b"short", overwrite=True)
        check(moved.download_file().readall() == b"short", f"overwritten {name}")
    paths = [p.name for p in fs.get_paths(recursive=True, max_results=2)]
    check(len(paths) == 7 and len(set(paths)) == 7, f"get_paths by pages: {paths}")
    d = fs.get_directory_client("d")
    d.set_access_control(acl="user::rwx,group::r-x,other::---")
    check(d.get_access_control()["acl"].startswith("user::rwx"), "access control of a folder")
    check(d.set_access_control_recursive("user::rwx,group::r-x,other::--x").counters.files_successful == 1, "recursive access control")
    raises(HttpResponseError, "deleting without the lease", lambda: leased(fs))
    d.delete_directory()
    raises(ResourceNotFoundError, "a deleted folder", d.get_directory_properties)
    fs.delete_file_system()


def leased(fs):
    f = fs.create_file("leased")
    lease = f.acquire_lease(15)
    try:
        f.delete_file()
    finally:
        lease.release()


def blobs(service):
    c = service.create_container("python-blobs")
    b = c.get_blob_client("d/one.txt")
    b.upload_blob(b"hello", metadata={"k": "v"})
    raises(ResourceExistsError, "a blob that exists", lambda: b.upload_blob(b"again"))
    check(b.download_blob().readall() == b"hello", "content of a blob")
    check(b.get_blob_properties().metadata == {"k": "v"}, "metadata of a blob")
    big = os.urandom(9_000_000)
    c.upload_blob("big", big, max_concurrency=4)
    check(c.download_blob("big", max_concurrency=4).readall() == big, "content of a large blob")
    walked = sorted(x.name for x in c.walk_blobs(delimiter="/"))
    check(walked == ["big", "d/"], f"walk_blobs: {walked}")
    copy = c.get_blob_client("copy")
    copy.start_copy_from_url(b.url)
    check(copy.download_blob().readall() == b"hello", "content of a copy")
    c.delete_blob("copy")
    c.delete_container()


def file_system(**how):
    a = fsspec.filesystem("abfs", **how)
    a.mkdir("fsspec")
    with a.open("fsspec/x/y.bin", "wb") as f:
        f.write(b"abc" * 1000)
    check(a.cat("fsspec/x/y.bin") == b"abc" * 1000, "content by fsspec")
    check(a.size("fsspec/x/y.bin") == 3000 and a.exists("fsspec/x") and not a.exists("fsspec/z"), "size and existence by fsspec")
    check(a.find("fsspec") == ["fsspec/x/y.bin"], f"find by fsspec: {a.find('fsspec')}")
    a.rm("fsspec/x", recursive=True)
    check(not a.exists("fsspec/x/y.bin"), "rm by fsspec")


credential = ClientSecretCredential(os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"])
data_lake(DataLakeServiceClient("https://local.dfs.core.windows.net", credential=credential))
blobs(BlobServiceClient("https://local.blob.core.windows.net", credential=credential))
plain, key = os.environ["LAKE_HTTP"] + "/local", os.environ["LAKE_KEY"]
blobs(BlobServiceClient(plain, credential={"account_name": "local", "account_key": key}))
file_system(connection_string=f"DefaultEndpointsProtocol=http;AccountName=local;AccountKey={key};BlobEndpoint={plain};")
print(f"{checks} checks")
