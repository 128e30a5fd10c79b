"""nphash on a cluster: collections of Dask in and out, and the answers of one machine (extra ``[dask]``).

::

    from dask.distributed import Client
    import nphash.dask

    client = Client("tcp://scheduler:8786")
    vectorizer = nphash.dask.fit_vectorizer(nphash.Vectorizer(), texts)  # a bag, or a column of a frame
    codes = nphash.dask.transform(hasher, texts, vectorizer)  # a dask.array, uint8 (n, bytes)
    index = nphash.dask.ShardedIndex.from_array(codes, n_bits=64, client=client)
    distances, positions = index.search(queries, k=10)
    groups = nphash.dask.duplicates(index, radius=3)

Every result is bit for bit that of `nphash.Vectorizer`, of the hasher or of `nphash.HammingIndex` in one
process, whatever the partitions and the workers: rows are encoded one by one, ties go by global position, and
sums are of whole numbers. Tasks change nothing but the files of `ShardedIndex.save` and open no connections,
so that one which is run again after a worker was killed gives the same. A task uses one thread, as a worker
runs one for each of its threads.
"""

from nphash.dask.partitions import fit_vectorizer, transform
from nphash.dask.sharded_index import ShardedIndex, duplicates

__all__ = ["ShardedIndex", "duplicates", "fit_vectorizer", "transform"]
