"""Stands before a plain HTTP receiver on this machine, for the tests of the webhook sink.

front.py tls CERTIFICATE KEY PORT [CLIENT-AUTHORITY [VERSION]]: ends TLS and passes on what comes to 127.0.0.1:PORT.
With an authority it wants a certificate of its from clients; VERSION is the highest of TLS (1.2).
front.py proxy [USER:PASSWORD | STATUS]: an HTTP proxy that serves CONNECT and whole addresses, wants this user, or
refuses everything with a status.
front.py greeting TEXT: says this on each connection, without being asked, and nothing else.

Prints its port first, and then a line for each thing that a test may want to know.
"""
import base64
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit


def say(line):
    # One write, so that lines of several threads do not run into each other.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def pass_on(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (target, source):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def join(client, server):
    back = threading.Thread(target=pass_on, args=(server, client), daemon=True)
    back.start()
    pass_on(client, server)
    back.join()
    client.close()
    server.close()


def tls(certificate, key, port, authority=None, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority)
    if version == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    def serve(client):
        try:
            client = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
            client.do_handshake()
        except OSError as error:
            say(f"refused {error}")
            # What was said against the client must come before the end, as it does over a real network.
            time.sleep(0.5)
            client.close()
            return
        peer = client.getpeercert() if authority else None
        name = dict(part[0] for part in peer["subject"])["commonName"] if peer else "nobody"
        say(f"accepted {client.version()} {client.selected_alpn_protocol()} {name}")
        join(client, socket.create_connection(("127.0.0.1", int(port))))

    return serve


def head_of(client):
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(65536)
        if not data:
            return b""
        head += data
    return head


def proxy(rule=""):
    wanted = "Basic " + base64.b64encode(rule.encode()).decode() if ":" in rule else None
    refusal = rule if rule.isdigit() else None

    def serve(client):
        head = head_of(client)
        if not head:
            client.close()
            return
        lines = head.split(b"\r\n\r\n")[0].decode().split("\r\n")
        method, address, _ = lines[0].split(" ")
        fields = dict(line.split(": ", 1) for line in lines[1:])
        shown = {name.lower(): value for name, value in fields.items()}.get("proxy-authorization")
        say(f"{method} {address}")
        status = refusal or ("407" if wanted and shown != wanted else None)
        if status:
            client.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            client.close()
            return
        if method == "CONNECT":
            host, port = address.rsplit(":", 1)
            server = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 Here you are\r\n\r\n")
        else:
            place = urlsplit(address)
            server = socket.create_connection((place.hostname, place.port))
            server.sendall(head)
        join(client, server)

    return serve


def greeting(text):
    def serve(client):
        try:
            client.sendall(text.encode())
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except OSError:
            pass
        client.close()

    return serve


def main():
    serve = {"tls": tls, "proxy": proxy, "greeting": greeting}[sys.argv[1]](*sys.argv[2:])
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    say(listener.getsockname()[1])
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()
