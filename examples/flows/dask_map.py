# /// script
# dependencies = ["distributed"]
# ///
"""The same map on processes of a Dask cluster; Client("tcp://…") instead of LocalCluster
uses one that runs on other machines."""

import os

from distributed import Client, LocalCluster

from refline import flow, task


@task
def square(x):
    return x * x, os.getpid()


@flow
def dask_map(n):
    results = square.map(range(n)).results()
    return sum(value for value, _ in results), len({pid for _, pid in results})


if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            total, processes = dask_map.with_options(executor=client.get_executor())(20)
            print("total", total, "from", processes, "processes")
