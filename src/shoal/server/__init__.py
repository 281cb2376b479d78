"""The Docker API over HTTP, in shoald: connections, routes, streams, the hand-over of sockets, errors to statuses.

api_server ─▶ connection ─▶ http1 (protocol)     ─▶ router ─▶ handlers/ ─▶ backend (Protocols, filled by the engine)
                   └▶ hangup (who has left)            └▶ operations (the table), unserved (the refusals)
"""
