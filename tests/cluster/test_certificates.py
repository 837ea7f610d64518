"""Certificates: signature, subject alternative names, and key file permissions."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID

from cluster.certificates import Authority


def test_a_certificate_verifies_against_its_own_authority_only(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    pair = ours.issue("yard", ["yard"])
    certificate = x509.load_pem_x509_certificate(pair.cert.read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ours.ca.read_bytes()))
    with pytest.raises(InvalidSignature):
        certificate.verify_directly_issued_by(
            x509.load_pem_x509_certificate(theirs.ca.read_bytes())
        )


def test_names_and_addresses_are_in_the_subject_alternative_name(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("cloud", ["cloud.example.org", "127.0.0.1"])
    certificate = x509.load_pem_x509_certificate(pair.cert.read_bytes())
    names = certificate.extensions.get_extension_for_oid(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    ).value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["cloud.example.org"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_a_private_key_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("yard", ["yard"])
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
