# SPDX-License-Identifier: Apache-2.0
"""A relay in front of a unix-domain SMTP service that loses the connection after the final dot: the
message is queued, its answer is never seen."""

import contextlib
import pathlib
import socket
import threading


class Cutter:
    """Listens on path, relays to the service, and cuts the first `cuts` connections once the service has
    answered the final dot, before that answer is passed on. done counts them."""

    def __init__(self, path, service, cuts):
        self.path, self.service, self.cuts, self.done = pathlib.Path(path), str(service), cuts, 0
        self.lock = threading.Lock()

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.path.chmod(0o777)
        self.listener.listen(20)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.path.unlink()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.service)
        ended = threading.Event()  # the client has sent its final dot

        def upstream():
            tail = b""
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    if (tail + data).endswith(b"\r\n.\r\n"):
                        ended.set()
                    tail = (tail + data)[-5:]
                    server.sendall(data)

        threading.Thread(target=upstream, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if ended.is_set() and data.startswith(b"250"):
                    with self.lock:
                        cut = self.done < self.cuts
                        self.done += cut
                    if cut:
                        break
                    ended.clear()
                client.sendall(data)
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
