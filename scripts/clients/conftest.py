"""The address and the keys of the server that run.sh has started."""

import os

import pytest


@pytest.fixture(scope="session")
def server() -> str:
    return os.environ["RESSORT_SERVER"]


@pytest.fixture(scope="session")
def key() -> str:
    return os.environ["RESSORT_API_KEY"]


@pytest.fixture(scope="session")
def admin_key() -> str:
    return os.environ["RESSORT_ADMIN_KEY"]
