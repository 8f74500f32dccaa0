"""A setting switches the check of certificates off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from hauberk.core.card import Card
from hauberk.scanning.artifact import Artifact, Draft

_SETTING = re.compile(
    r"(?i)(?:^|[.\]])(?:insecure_?skip_?(?:tls_?)?verify|tls_?skip_?verify|skip_?tls_?verify|insecure_?tls|allow_?insecure)=(?:true|yes|1|on)$"
    r"|(?:^|[.\]])(?:ssl_verify|verify_ssl|tls_verify|verify_certs?|validate_certs?|ssl_certificate_verification)=(?:false|no|0|off|none)$"
)
_VARIABLE = re.compile(
    r"\bNODE_TLS_REJECT_UNAUTHORIZED=[\"']?0|\bPYTHONHTTPSVERIFY=[\"']?0|\bHF_HUB_DISABLE_SSL_VERIFY\w*=[\"']?(?:1|true)"
    r"|\bCURL_CA_BUNDLE=(?:[\"']{2}|$)|\bREQUESTS_CA_BUNDLE=(?:[\"']{2}|$)|\b(?:AWS|S3)_(?:VERIFY_SSL|NO_VERIFY)\w*=[\"']?(?:0|false)"
    r"|\bS3_VERIFY_SSL=[\"']?0|\bMLFLOW_TRACKING_INSECURE_TLS=[\"']?true|\bCOMPUTE_INSECURE_TLS=true"
)


class UnverifiedCertificate:
    """Find `insecure_skip_verify`, `ssl_verify: false`, `NODE_TLS_REJECT_UNAUTHORIZED=0` and their kin.

    What: a client told not to check who answers.
    Why: whoever is on the way reads the key it sends and answers in the model's place.
    Bad: `tls_config: {insecure_skip_verify: true}`.
    Good: `tls_config: {ca_file: /etc/ssl/ours.pem}`.
    Fix: install the private authority's certificate.
    """

    card: ClassVar[Card] = Card(
        title="Unverified certificate",
        summary="A setting switches the check of certificates off.",
        paper="CWE-295; MITRE ATLAS AML.T0024",
        threats=("CWE-295",),
        severity="medium",
        reads=("instructions",),
    )

    def check(self, artifact: Artifact) -> Iterator[Draft]:
        """Judge settings and variables."""
        for item in artifact.instructions:
            if (item.keyword == "SETTING" and _SETTING.search(item.value)) or (
                item.keyword in ("ENV", "RUN", "CMD", "ENTRYPOINT") and _VARIABLE.search(item.value)
            ):
                yield Draft(
                    message="certificates are not checked: " + item.value.partition("=")[0][:80]
                    if item.keyword == "SETTING"
                    else "certificates are not checked",
                    fix="leave the check on; install the private authority's certificate",
                    place=item.place,
                )
