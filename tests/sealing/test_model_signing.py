"""Seals that model-signing 1.1.1 (OpenSSF) made are verified, and where it is installed it verifies ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hauberk.api.sealing import new_key, seal
from hauberk.api.verifying import Trust, verify

# Made with model_signing.signing.Config() over FILES; the keys were thrown away.
FILES = {"a.txt": b"hi\n", "d/b.bin": b"ho\n", "empty": b"", "\u00e9": b"{}"}
PUBLIC = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/2dMfMe+BJjU3YsuJ56kdSXO8O/r
RInXe+KT1ePra82Ez6iaU5erPSCwDmejef2DKdzTDwc7RJyjHQcjCtXDTw==
-----END PUBLIC KEY-----
"""
ROOT = """\
-----BEGIN CERTIFICATE-----
MIIBRDCB66ADAgECAhR7u+O5nMJ/PdOtgwBSwnof790HLDAKBggqhkjOPQQDAjAP
MQ0wCwYDVQQDDARyb290MCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAw
WjAPMQ0wCwYDVQQDDARyb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgvOy
M6+GdZWmTZd+JezpvE73L1/wJKAJJY7d4wj+hHm1sWW2Hq2AVMWg+pW2f7blS09J
RTBtmEk3AMGrqwaRGKMjMCEwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMC
AQYwCgYIKoZIzj0EAwIDSAAwRQIgd534TxqRynABPWO4bz9/vVAatYp+5x7WZZRG
l6HXNTgCIQD6JXHyOwGQ4H4le69eupQP91AQiS1lF7rQr09a86nMkQ==
-----END CERTIFICATE-----
"""
KEY = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"f4'
    '3b6ca1ba15c1e46b26ef3388427d2105a0d98a19f98240155bf51a52f3e0f4"},"tlogEntries":[]},"dsseEnvelope":{"payload"'
    ':"ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbW'
    "UiOiAibSIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNoYTI1NiI6ICJlMWI4OGE0Yzg2YTQ0OGVjMmVkNDU1YzI0N2JjYmFhZWM0Mz"
    "NjYzc0ODhmYWU1ODY3NTIwZDBlMWU1MDZmNjI4IgogICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZG"
    "VsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLAogICJwcmVkaWNhdGUiOiB7CiAgICAicmVzb3VyY2VzIjogWwogICAgICB7CiAgICAgICAgIm"
    "FsZ29yaXRobSI6ICJzaGEyNTYiLAogICAgICAgICJuYW1lIjogImEudHh0IiwKICAgICAgICAiZGlnZXN0IjogIjk4ZWE2ZTRmMjE2ZjJmYj"
    "RiNjlmZmY5YjNhNDQ4NDJjMzg2ODZjYTY4NWYzZjU1ZGM0OGM1ZDNmYjExMDdiZTQiCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3"
    "JpdGhtIjogInNoYTI1NiIsCiAgICAgICAgIm5hbWUiOiAiZC9iLmJpbiIsCiAgICAgICAgImRpZ2VzdCI6ICI1NmNjNWVlYzU1ZGM1OGM3MD"
    "QzYWM3MjRmOTYyZTQxODkyZWY1OTE1NTJkZDAyM2E5YjgxZjk1OTU4YmZmZjYzIgogICAgICB9LAogICAgICB7CiAgICAgICAgImFsZ29yaX"
    "RobSI6ICJzaGEyNTYiLAogICAgICAgICJuYW1lIjogImVtcHR5IiwKICAgICAgICAiZGlnZXN0IjogImUzYjBjNDQyOThmYzFjMTQ5YWZiZj"
    "RjODk5NmZiOTI0MjdhZTQxZTQ2NDliOTM0Y2E0OTU5OTFiNzg1MmI4NTUiCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIj"
    "ogInNoYTI1NiIsCiAgICAgICAgIm5hbWUiOiAiXHUwMGU5IiwKICAgICAgICAiZGlnZXN0IjogIjQ0MTM2ZmEzNTViMzY3OGExMTQ2YWQxNm"
    "Y3ZTg2NDllOTRmYjRmYzIxZmU3N2U4MzEwYzA2MGY2MWNhYWZmOGEiCiAgICAgIH0KICAgIF0sCiAgICAic2VyaWFsaXphdGlvbiI6IHsKIC"
    "AgICAgIm1ldGhvZCI6ICJmaWxlcyIsCiAgICAgICJoYXNoX3R5cGUiOiAic2hhMjU2IiwKICAgICAgImlnbm9yZV9wYXRocyI6IFsKICAgIC"
    "AgICAiLmdpdGF0dHJpYnV0ZXMiLAogICAgICAgICIuZ2l0aHViIiwKICAgICAgICAiLmdpdCIsCiAgICAgICAgIi5naXRpZ25vcmUiCiAgIC"
    'AgIF0sCiAgICAgICJhbGxvd19zeW1saW5rcyI6IGZhbHNlCiAgICB9CiAgfQp9","payloadType":"application/vnd.in-toto+json"'
    ',"signatures":[{"sig":"MEYCIQDoT05vn4pBggYMBFoflL/mOrG/GekRTaeo89CJTO0dAQIhAPS8XrECgbOcfAePstWGDIwLDna2qZ4Q8'
    'P8lG4gGS6fX","keyid":""}]}}'
)
CERTIFICATE = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"x509CertificateChain":'
    '{"certificates":[{"rawBytes":"MIIBdDCCARqgAwIBAgIUFgso4gcfkWU15iIFOCotptrf2KswCgYIKoZIzj0EAwIwEjEQMA4GA1UEAw'
    "wHaXNzdWluZzAgFw0yNjAxMDEwMDAwMDBaGA8yMTI2MDEwMTAwMDAwMFowHjEcMBoGA1UEAwwTcmVsZWFzZUBleGFtcGxlLm9yZzBZMBMGBy"
    "qGSM49AgEGCCqGSM49AwEHA0IABP9nTHzHvgSY1N2LLieepHUlzvDv60SJ13vik9Xj62vNhM+omlOXqz0gsA5no3n9gync0w8HO0Scox0HIw"
    "rVw0+jQDA+MAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMB4GA1UdEQQXMBWBE3JlbGVhc2VAZXhhbXBsZS5vcmcwCgYIKoZIzj0EAw"
    'IDSAAwRQIgKU1RWFen9Ozem8RimD0diBLeJDntRAYfwnhLf2b4dSsCIQCq15aJ8rHOCKpgW12x3t2/vm/FsWvNS4p/b5MHQ+eL+Q=="},{"r'
    'awBytes":"MIIBRjCB7qADAgECAhR/58RKzx+BcCZXq7sru1QcfrcnzjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARyb290MCAXDTI2MDEwMT'
    "AwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdpc3N1aW5nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9kKDIRcldNN2nq"
    "PY18gIpv9uqif+Det9/jnyJKWk/lnJJkDWMnMgMaBLXhKTO14G9Ls9t87vqsr31AcJBdL7RaMjMCEwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ"
    "8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDRwAwRAIga5pT00xNefPj135qXmfrJxQWajFeAZflWXeHoQbPfyICIBg4MtCiQ5lN7HTP5t4cQfFhcn"
    'qOu/TYdPQECHA9d1wF"}]},"tlogEntries":[]},"dsseEnvelope":{"payload":"ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8u'
    "aW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbWUiOiAibSIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAg"
    "ICAgInNoYTI1NiI6ICJlMWI4OGE0Yzg2YTQ0OGVjMmVkNDU1YzI0N2JjYmFhZWM0MzNjYzc0ODhmYWU1ODY3NTIwZDBlMWU1MDZmNjI4Igog"
    "ICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZGVsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLAogICJw"
    "cmVkaWNhdGUiOiB7CiAgICAicmVzb3VyY2VzIjogWwogICAgICB7CiAgICAgICAgImFsZ29yaXRobSI6ICJzaGEyNTYiLAogICAgICAgICJu"
    "YW1lIjogImEudHh0IiwKICAgICAgICAiZGlnZXN0IjogIjk4ZWE2ZTRmMjE2ZjJmYjRiNjlmZmY5YjNhNDQ4NDJjMzg2ODZjYTY4NWYzZjU1"
    "ZGM0OGM1ZDNmYjExMDdiZTQiCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIjogInNoYTI1NiIsCiAgICAgICAgIm5hbWUi"
    "OiAiZC9iLmJpbiIsCiAgICAgICAgImRpZ2VzdCI6ICI1NmNjNWVlYzU1ZGM1OGM3MDQzYWM3MjRmOTYyZTQxODkyZWY1OTE1NTJkZDAyM2E5"
    "YjgxZjk1OTU4YmZmZjYzIgogICAgICB9LAogICAgICB7CiAgICAgICAgImFsZ29yaXRobSI6ICJzaGEyNTYiLAogICAgICAgICJuYW1lIjog"
    "ImVtcHR5IiwKICAgICAgICAiZGlnZXN0IjogImUzYjBjNDQyOThmYzFjMTQ5YWZiZjRjODk5NmZiOTI0MjdhZTQxZTQ2NDliOTM0Y2E0OTU5"
    "OTFiNzg1MmI4NTUiCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIjogInNoYTI1NiIsCiAgICAgICAgIm5hbWUiOiAiXHUw"
    "MGU5IiwKICAgICAgICAiZGlnZXN0IjogIjQ0MTM2ZmEzNTViMzY3OGExMTQ2YWQxNmY3ZTg2NDllOTRmYjRmYzIxZmU3N2U4MzEwYzA2MGY2"
    "MWNhYWZmOGEiCiAgICAgIH0KICAgIF0sCiAgICAic2VyaWFsaXphdGlvbiI6IHsKICAgICAgIm1ldGhvZCI6ICJmaWxlcyIsCiAgICAgICJo"
    "YXNoX3R5cGUiOiAic2hhMjU2IiwKICAgICAgImlnbm9yZV9wYXRocyI6IFsKICAgICAgICAiLmdpdGF0dHJpYnV0ZXMiLAogICAgICAgICIu"
    "Z2l0aHViIiwKICAgICAgICAiLmdpdCIsCiAgICAgICAgIi5naXRpZ25vcmUiCiAgICAgIF0sCiAgICAgICJhbGxvd19zeW1saW5rcyI6IGZh"
    'bHNlCiAgICB9CiAgfQp9","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEQCIBcYqXV9z4Lomqc'
    'scAz6gR0xAh+323dnDycbfsntVDfrAiBmWhuNpveebNydFkFAVVx5spY0GAFj3xfLhg5LtI+Nsw==","keyid":""}]}}'
)
SHARDS = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"f4'
    '3b6ca1ba15c1e46b26ef3388427d2105a0d98a19f98240155bf51a52f3e0f4"},"tlogEntries":[]},"dsseEnvelope":{"payload"'
    ':"ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbW'
    "UiOiAibSIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNoYTI1NiI6ICI1ODVjNWRhZmI1NjNiNDQzZDlmMzg1N2U5ZWUxY2I2ZGU0Yj"
    "gxYzRhNjIyNGM5ODczZTM5MzA4OTBmYzMzZDkyIgogICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZG"
    "VsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLAogICJwcmVkaWNhdGUiOiB7CiAgICAicmVzb3VyY2VzIjogWwogICAgICB7CiAgICAgICAgIm"
    "FsZ29yaXRobSI6ICJzaGEyNTYtc2hhcmRlZC0yIiwKICAgICAgICAibmFtZSI6ICJhLnR4dDowOjIiLAogICAgICAgICJkaWdlc3QiOiAiOG"
    "Y0MzQzNDY2NDhmNmI5NmRmODlkZGE5MDFjNTE3NmIxMGE2ZDgzOTYxZGQzYzFhYzg4YjU5YjJkYzMyN2FhNCIKICAgICAgfSwKICAgICAgew"
    "ogICAgICAgICJhbGdvcml0aG0iOiAic2hhMjU2LXNoYXJkZWQtMiIsCiAgICAgICAgIm5hbWUiOiAiYS50eHQ6MjozIiwKICAgICAgICAiZG"
    "lnZXN0IjogIjAxYmE0NzE5YzgwYjZmZTkxMWIwOTFhN2MwNTEyNGI2NGVlZWNlOTY0ZTA5YzA1OGVmOGY5ODA1ZGFjYTU0NmIiCiAgICAgIH"
    "0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIjogInNoYTI1Ni1zaGFyZGVkLTIiLAogICAgICAgICJuYW1lIjogImQvYi5iaW46MDoyIi"
    "wKICAgICAgICAiZGlnZXN0IjogImE4MjFjNjJlODEwNGY4NTE5ZDYzOWI0YzA5NDhhZWNlNjQxYjE0M2Y2NjAxZmExNDU5OTNiYjJlMmM3Mj"
    "k5ZDQiCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIjogInNoYTI1Ni1zaGFyZGVkLTIiLAogICAgICAgICJuYW1lIjogIm"
    "QvYi5iaW46MjozIiwKICAgICAgICAiZGlnZXN0IjogIjAxYmE0NzE5YzgwYjZmZTkxMWIwOTFhN2MwNTEyNGI2NGVlZWNlOTY0ZTA5YzA1OG"
    "VmOGY5ODA1ZGFjYTU0NmIiCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIjogInNoYTI1Ni1zaGFyZGVkLTIiLAogICAgIC"
    "AgICJuYW1lIjogIlx1MDBlOTowOjIiLAogICAgICAgICJkaWdlc3QiOiAiNDQxMzZmYTM1NWIzNjc4YTExNDZhZDE2ZjdlODY0OWU5NGZiNG"
    "ZjMjFmZTc3ZTgzMTBjMDYwZjYxY2FhZmY4YSIKICAgICAgfQogICAgXSwKICAgICJzZXJpYWxpemF0aW9uIjogewogICAgICAibWV0aG9kIj"
    "ogInNoYXJkcyIsCiAgICAgICJoYXNoX3R5cGUiOiAic2hhMjU2IiwKICAgICAgInNoYXJkX3NpemUiOiAyLjAsCiAgICAgICJpZ25vcmVfcG"
    "F0aHMiOiBbCiAgICAgICAgIi5naXRhdHRyaWJ1dGVzIiwKICAgICAgICAiLmdpdGh1YiIsCiAgICAgICAgIi5naXQiLAogICAgICAgICIuZ2"
    'l0aWdub3JlIgogICAgICBdLAogICAgICAiYWxsb3dfc3ltbGlua3MiOiBmYWxzZQogICAgfQogIH0KfQ==","payloadType":"applicati'
    'on/vnd.in-toto+json","signatures":[{"sig":"MEUCIQCVqLNkwPhZqKKVX95QsVX0JdDqUPshWb9EcsRXI+soOQIgQms3jiPd3pzFI'
    '/IKLxBnRRvcoHRNU93inYPWWfoQd/w=","keyid":""}]}}'
)
BLAKE3 = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"f4'
    '3b6ca1ba15c1e46b26ef3388427d2105a0d98a19f98240155bf51a52f3e0f4"},"tlogEntries":[]},"dsseEnvelope":{"payload"'
    ':"ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbW'
    "UiOiAibSIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNoYTI1NiI6ICI3MTM5ZjQzZWI1ZGEyMGJiZGFhOTRjNTUyYTk5MTA3YzRlNG"
    "YxZjk3MjVkN2FhOTRlNDk1MDQxMzUyMTJiYTEwIgogICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZG"
    "VsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLAogICJwcmVkaWNhdGUiOiB7CiAgICAicmVzb3VyY2VzIjogWwogICAgICB7CiAgICAgICAgIm"
    "FsZ29yaXRobSI6ICJibGFrZTMiLAogICAgICAgICJuYW1lIjogImEudHh0IiwKICAgICAgICAiZGlnZXN0IjogIjBiOGI2MDI0OGZhZDdhYz"
    "ZkZmFjMjIxYjdlMDFhOGI5MWM3NzI0MjFhMTViMzg3ZGQxZmIyZDZhOTRhZWU0MzgiCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3"
    "JpdGhtIjogImJsYWtlMyIsCiAgICAgICAgIm5hbWUiOiAiZC9iLmJpbiIsCiAgICAgICAgImRpZ2VzdCI6ICIyN2E1YzFhNWQ3YzlkY2FlNT"
    "VlMTkzNTcxNGFiM2NkYWUxNDM2MjhlNjgwYWQyZWIwY2U0OTg0ZWZmZTJmNDdjIgogICAgICB9LAogICAgICB7CiAgICAgICAgImFsZ29yaX"
    "RobSI6ICJibGFrZTMiLAogICAgICAgICJuYW1lIjogImVtcHR5IiwKICAgICAgICAiZGlnZXN0IjogImFmMTM0OWI5ZjVmOWExYTZhMDQwNG"
    "RlYTM2ZGNjOTQ5OWJjYjI1YzlhZGMxMTJiN2NjOWE5M2NhZTQxZjMyNjIiCiAgICAgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIj"
    "ogImJsYWtlMyIsCiAgICAgICAgIm5hbWUiOiAiXHUwMGU5IiwKICAgICAgICAiZGlnZXN0IjogIjZlNDZkZDEwZGVmYzliNTZjMjlhNmVjNT"
    "ZiNTA4YzIxZjU0YzA4MTkyMTk0ZTRkZjI1YmYzNmYwYzljM2MyNzkiCiAgICAgIH0KICAgIF0sCiAgICAic2VyaWFsaXphdGlvbiI6IHsKIC"
    "AgICAgIm1ldGhvZCI6ICJmaWxlcyIsCiAgICAgICJoYXNoX3R5cGUiOiAiYmxha2UzIiwKICAgICAgImlnbm9yZV9wYXRocyI6IFsKICAgIC"
    "AgICAiLmdpdGF0dHJpYnV0ZXMiLAogICAgICAgICIuZ2l0aHViIiwKICAgICAgICAiLmdpdCIsCiAgICAgICAgIi5naXRpZ25vcmUiCiAgIC"
    'AgIF0sCiAgICAgICJhbGxvd19zeW1saW5rcyI6IGZhbHNlCiAgICB9CiAgfQp9","payloadType":"application/vnd.in-toto+json"'
    ',"signatures":[{"sig":"MEUCIQCwYAsImQl2MKRhmLPgXEHaOhUIkFq8uMgY7lTIb6wb0gIgFFtU5fk6QSG+0yJSilUXgSdq4YVQEs3Bd'
    'p3zCbBj8AE=","keyid":""}]}}'
)
BLAKE2 = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"f4'
    '3b6ca1ba15c1e46b26ef3388427d2105a0d98a19f98240155bf51a52f3e0f4"},"tlogEntries":[]},"dsseEnvelope":{"payload"'
    ':"ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbW'
    "UiOiAibSIsCiAgICAgICJkaWdlc3QiOiB7CiAgICAgICAgInNoYTI1NiI6ICJjMTkxMjkyYjVlNDMwZjQyM2ZmOWQyMTk3NmQxYjY3YjkwZT"
    "k5ZWM2YzYxYTA1NmEzYTFiMjgyN2JiNTJiN2IxIgogICAgICB9CiAgICB9CiAgXSwKICAicHJlZGljYXRlVHlwZSI6ICJodHRwczovL21vZG"
    "VsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLAogICJwcmVkaWNhdGUiOiB7CiAgICAicmVzb3VyY2VzIjogWwogICAgICB7CiAgICAgICAgIm"
    "FsZ29yaXRobSI6ICJibGFrZTJiIiwKICAgICAgICAibmFtZSI6ICJhLnR4dCIsCiAgICAgICAgImRpZ2VzdCI6ICI3ZWE1OWU3YTAwMGVjMD"
    "AzODQ2YjY2MDdkZmQ1ZjkyMTdiNjgxZGMxYTgxYjA3ODliNDY0YzM5OTUxMDVkOTMwODNmN2YwYTg2ZmNhMDFhMWJlZDI3ZTlmOTMwM2FlNT"
    "hkMDE3NDZlM2IyMDQ0MzQ4MGJlYTU2MTk4ZTY1YmZjNSIKICAgICAgfSwKICAgICAgewogICAgICAgICJhbGdvcml0aG0iOiAiYmxha2UyYi"
    "IsCiAgICAgICAgIm5hbWUiOiAiZC9iLmJpbiIsCiAgICAgICAgImRpZ2VzdCI6ICIwYTZlNDhjYzU0MGY2YzFiNjBlMjdlOWVmYTY5MzJlMT"
    "hiYTQwMWVkNjlkNTM2MGU2YjJmZjZmOTNiZDM5OTg5NTUyYjg2YWNhYjhhMmY5N2RjMjhkYzZlOGE5YmQ4OWRhMmQ1ODVjZTRmZjZkNjZlNT"
    "ZlYzE3MThmMzA5NDRhNSIKICAgICAgfSwKICAgICAgewogICAgICAgICJhbGdvcml0aG0iOiAiYmxha2UyYiIsCiAgICAgICAgIm5hbWUiOi"
    "AiZW1wdHkiLAogICAgICAgICJkaWdlc3QiOiAiNzg2YTAyZjc0MjAxNTkwM2M2YzZmZDg1MjU1MmQyNzI5MTJmNDc0MGUxNTg0NzYxOGE4Nm"
    "UyMTdmNzFmNTQxOWQyNWUxMDMxYWZlZTU4NTMxMzg5NjQ0NDkzNGViMDRiOTAzYTY4NWIxNDQ4Yjc1NWQ1NmY3MDFhZmU5YmUyY2UiCiAgIC"
    "AgIH0sCiAgICAgIHsKICAgICAgICAiYWxnb3JpdGhtIjogImJsYWtlMmIiLAogICAgICAgICJuYW1lIjogIlx1MDBlOSIsCiAgICAgICAgIm"
    "RpZ2VzdCI6ICI5MzI3YTQ5MjI2NGVjYWMwODA2YjAzMWI3ODAyNDFkODZjYWJlMzgzNDhmZTQ5YzRjNWE2MTBlZTU4NGNmYmFhZWZkM2ZkZm"
    "ZkMWIxYjU0YzllZTIyNTgyMDQzM2E3ZjkwMmM2ODhiMmUxMjMxODFhNTZjNzNiOWNiZjljZDEzZiIKICAgICAgfQogICAgXSwKICAgICJzZX"
    "JpYWxpemF0aW9uIjogewogICAgICAibWV0aG9kIjogImZpbGVzIiwKICAgICAgImhhc2hfdHlwZSI6ICJibGFrZTJiIiwKICAgICAgImlnbm"
    "9yZV9wYXRocyI6IFsKICAgICAgICAiLmdpdGF0dHJpYnV0ZXMiLAogICAgICAgICIuZ2l0aHViIiwKICAgICAgICAiLmdpdCIsCiAgICAgIC"
    'AgIi5naXRpZ25vcmUiCiAgICAgIF0sCiAgICAgICJhbGxvd19zeW1saW5rcyI6IGZhbHNlCiAgICB9CiAgfQp9","payloadType":"appli'
    'cation/vnd.in-toto+json","signatures":[{"sig":"MEQCIC1+HVyNo8I0hNcY1dPAnZjK/WTQe4ZwJwBXh5JPGTEbAiA0HSl49YASf'
    'RdxnK+W9sobym/Y/YjOkgtUcuG29Q3wKw==","keyid":""}]}}'
)
FILE = (
    '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"f4'
    '3b6ca1ba15c1e46b26ef3388427d2105a0d98a19f98240155bf51a52f3e0f4"},"tlogEntries":[]},"dsseEnvelope":{"payload"'
    ':"ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAgIm5hbW'
    "UiOiAiYS50eHQiLAogICAgICAiZGlnZXN0IjogewogICAgICAgICJzaGEyNTYiOiAiZTliMTNmYTg5M2EwNzEyODg4Yjk4MWM1MjU4MzFiMm"
    "E3MDBlZmFkMWNlZDk2NGVmMzkxY2RkNzEyY2QxMmQzNiIKICAgICAgfQogICAgfQogIF0sCiAgInByZWRpY2F0ZVR5cGUiOiAiaHR0cHM6Ly"
    "9tb2RlbF9zaWduaW5nL3NpZ25hdHVyZS92MS4wIiwKICAicHJlZGljYXRlIjogewogICAgInJlc291cmNlcyI6IFsKICAgICAgewogICAgIC"
    "AgICJhbGdvcml0aG0iOiAic2hhMjU2IiwKICAgICAgICAibmFtZSI6ICIuIiwKICAgICAgICAiZGlnZXN0IjogIjk4ZWE2ZTRmMjE2ZjJmYj"
    "RiNjlmZmY5YjNhNDQ4NDJjMzg2ODZjYTY4NWYzZjU1ZGM0OGM1ZDNmYjExMDdiZTQiCiAgICAgIH0KICAgIF0sCiAgICAic2VyaWFsaXphdG"
    "lvbiI6IHsKICAgICAgIm1ldGhvZCI6ICJmaWxlcyIsCiAgICAgICJoYXNoX3R5cGUiOiAic2hhMjU2IiwKICAgICAgImlnbm9yZV9wYXRocy"
    "I6IFsKICAgICAgICAiLmdpdGF0dHJpYnV0ZXMiLAogICAgICAgICIuZ2l0aHViIiwKICAgICAgICAiLmdpdCIsCiAgICAgICAgIi5naXRpZ2"
    '5vcmUiCiAgICAgIF0sCiAgICAgICJhbGxvd19zeW1saW5rcyI6IGZhbHNlCiAgICB9CiAgfQp9","payloadType":"application/vnd.i'
    'n-toto+json","signatures":[{"sig":"MEUCIEz0ceEwva6NAqR72adtdf1xteAwwaa69apFzzZGkz/mAiEA679kFH4UZEY4PBHIXukph'
    '7EZUqHee98k+f6WaFOLRWU=","keyid":""}]}}'
)

BY_KEY = {"files": KEY, "blake3": BLAKE3, "blake2": BLAKE2}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_bytes(content)
    (tmp_path / "key.pub").write_text(PUBLIC)
    (tmp_path / "root.pem").write_text(ROOT)
    return tmp_path / "m"


def written(model: Path, text: str) -> Path:
    place = model.parent / "theirs.sig"
    place.write_text(text)
    return place


def by_key(model: Path) -> Trust:
    return Trust(keys=(model.parent / "key.pub",))


@pytest.mark.parametrize("name", BY_KEY)
def test_their_seal_by_key_holds(model: Path, name: str) -> None:
    place = written(model, BY_KEY[name])
    found = verify(model, by_key(model), seal=place)
    assert found.faults == ()
    assert found.files == 4
    (model / "a.txt").write_bytes(b"ha\n")
    assert [(one.kind, one.path) for one in verify(model, by_key(model), seal=place).faults] == [("changed", "a.txt")]


def test_their_seal_by_certificate_holds(model: Path) -> None:
    trust = Trust(roots=(model.parent / "root.pem",), identity="release@example.org")
    found = verify(model, trust, seal=written(model, CERTIFICATE))
    assert found.faults == ()
    assert found.signature is not None and found.signature.signer == "release@example.org"


def test_their_seal_of_one_file_holds(model: Path) -> None:
    place = written(model, FILE)
    assert verify(model / "a.txt", by_key(model), seal=place).faults == ()
    assert verify(model / "d" / "b.bin", by_key(model), seal=place).exit_status == 1


def test_their_shards_hold_but_do_not_cover_empty_files(model: Path) -> None:
    place = written(model, SHARDS)
    assert [(one.kind, one.path) for one in verify(model, by_key(model), seal=place).faults] == [("extra", "empty")]
    (model / "empty").unlink()
    assert verify(model, by_key(model), seal=place).faults == ()


@pytest.mark.parametrize("content", [b"hi", b"hi\n\n", b"", b"hj\n"])
def test_a_sharded_file_that_is_longer_shorter_or_other(model: Path, content: bytes) -> None:
    (model / "empty").unlink()
    (model / "a.txt").write_bytes(content)
    found = verify(model, by_key(model), seal=written(model, SHARDS))
    assert [(one.kind, one.path) for one in found.faults] == [("changed", "a.txt")]


def test_a_seal_by_key_is_not_one_by_certificate(model: Path) -> None:
    roots = Trust(roots=(model.parent / "root.pem",))
    assert {one.kind for one in verify(model, roots, seal=written(model, KEY)).faults} == {"untrusted"}


def test_a_cut_signature(model: Path) -> None:
    whole = json.loads(KEY)
    signature = whole["dsseEnvelope"]["signatures"][0]
    signature["sig"] = signature["sig"][:40]
    found = verify(model, by_key(model), seal=written(model, json.dumps(whole)))
    assert {one.kind for one in found.faults} == {"signature"}


@pytest.mark.parametrize("cut", range(0, 1600, 61))
def test_cut_anywhere_it_is_malformed_and_never_holds(model: Path, cut: int) -> None:
    found = verify(model, by_key(model), seal=written(model, KEY[:cut]))
    assert {one.kind for one in found.faults} == {"malformed"}


@pytest.mark.parametrize("kind", ["p256", "p384"])
@pytest.mark.parametrize("links", ["refuse", "record", "follow"])
def test_they_verify_ours_by_key(model: Path, kind: str, links: str) -> None:
    pytest.importorskip("OpenSSL")
    verifying = pytest.importorskip("model_signing.verifying")
    hashing = pytest.importorskip("model_signing.hashing")
    key = model.parent / "ours.pem"
    new_key(key, kind=kind)  # type: ignore[arg-type]
    if links != "refuse":
        (model / "link").symlink_to("a.txt")
    place = seal(model, key=key, links=links).path  # type: ignore[arg-type]
    rule = hashing.Config().set_allow_symlinks(links != "refuse")
    theirs = verifying.Config().use_elliptic_key_verifier(public_key=f"{key}.pub").set_hashing_config(rule)
    theirs.verify(model, place)
    assert verify(model, Trust(keys=(Path(f"{key}.pub"),))).faults == ()
    (model / "a.txt").write_bytes(b"ha\n")
    with pytest.raises(ValueError, match=r"a\.txt"):
        theirs.verify(model, place)
