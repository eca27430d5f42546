"""Trials evaluated by Ray Tune, on this machine or a cluster.

executor        the executor, and how many workers there is room for
adapters        Tune's searcher, scheduler, stopper and callback, through which Tune drives the search
attempts        which worker evaluates which trial; timeouts and retries
worker          the worker process
client          Tune's loop in a cluster that this process is no part of
cluster         Ray sessions, joined or begun
serialization   how trials are sent to workers
"""
