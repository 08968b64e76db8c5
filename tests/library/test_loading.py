"""Libraries are loaded without looking for garbage, which is looked for again afterwards."""

import gc

import pytest

from mlapi.loading import loading


def test_no_garbage_is_looked_for_while_libraries_are_loaded() -> None:
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_garbage_is_looked_for_again_when_loading_failed() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()
