"""Makes what nsc makes: an operator, a system account, an account that may use JetStream, and credentials of its user.

`accounts.conf` is for the server. `user.creds` are right, `stranger.creds` have the user's JWT and another key.
"""
import base64, json, subprocess, sys

folder = sys.argv[1]

def encoded(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return base64.b32encode(data + crc.to_bytes(2, "little")).decode().rstrip("=")

class Key:
    def __init__(self, name, prefix):
        self.path = f"{folder}/{name}.pem"
        openssl = lambda *words: subprocess.run(["openssl", *words], check=True, capture_output=True).stdout
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.path)
        self.public = encoded(bytes([prefix]) + openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-32:])
        secret = openssl("pkey", "-in", self.path, "-outform", "DER")[-32:]
        self.seed = encoded(bytes([18 << 3 | prefix >> 5, (prefix & 31) << 3]) + secret)

    def token(self, name, subject, nats):
        nats["version"] = 2
        claims = {"jti": name, "iat": 1700000000, "iss": self.public, "name": name, "sub": subject, "nats": nats}
        text = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in [{"typ": "JWT", "alg": "ed25519-nkey"}, claims])
        with open(self.path + ".text", "w") as file: file.write(text)
        signature = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", self.path + ".text"],
            check=True, capture_output=True).stdout
        return text + "." + base64.urlsafe_b64encode(signature).decode().rstrip("=")

operator, system, account, user = Key("operator", 14 << 3), Key("system", 0), Key("account", 0), Key("user", 20 << 3)
limits = {name: -1 for name in ["subs", "data", "payload", "imports", "exports", "conn", "leaf"]}
stores = {name: -1 for name in ["mem_storage", "disk_storage", "streams", "consumer"]}
tokens = {
    system.public: operator.token("system", system.public, {"type": "account", "limits": limits}),
    account.public: operator.token("account", account.public, {"type": "account", "limits": {**limits, **stores}}),
}
with open(f"{folder}/accounts.conf", "w") as file:
    file.write(f"operator: {operator.token('operator', operator.public, {'type': 'operator'})}\n")
    file.write(f"system_account: {system.public}\nresolver: MEMORY\nresolver_preload: {{\n")
    for public, token in tokens.items(): file.write(f"  {public}: {token}\n")
    file.write("}\n")
token = account.token("user", user.public, {"type": "user", "subs": -1, "data": -1, "payload": -1})
for name, signer in [("user", user), ("stranger", Key("stranger", 20 << 3))]:
    with open(f"{folder}/{name}.creds", "w") as file:
        file.write(f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n")
        file.write(f"-----BEGIN USER NKEY SEED-----\n{signer.seed}\n------END USER NKEY SEED------\n")
