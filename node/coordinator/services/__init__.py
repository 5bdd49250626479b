"""The gRPC services, one file each: translate, call one verb of the workflow, translate back.

Verbs block on the database, so they run in threads; the event loop only moves bytes.
"""
