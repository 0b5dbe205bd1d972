import pytest

from natlab.sim.tcp_settings import TcpSettings


@pytest.mark.parametrize("wrong", [{"mss": 0}, {"send_buffer": 0}, {"data_retries": 0}, {"receive_buffer": 65536}])
def test_settings_that_cannot_work_are_refused_with_the_limits(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"at least 1|1 to 65535"):
        TcpSettings(**wrong)
