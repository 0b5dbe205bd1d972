from __future__ import annotations

import pytest

from natlab.portmap import GatewayConfig, Service


def test_services_may_be_plain_text() -> None:
    assert GatewayConfig(services=("pcp", "nat-pmp")).services == (Service.PCP, Service.NAT_PMP)  # type: ignore[arg-type]
    assert GatewayConfig(services="upnp").services == (Service.UPNP,)  # type: ignore[arg-type]
    assert GatewayConfig().services == tuple(Service)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"services": ("nat-pnp",)}, "did you mean nat-pmp"),
        ({"services": ("stun",)}, "one of nat-pmp, pcp, upnp"),
        ({"leases_per_host": 0}, "leases_per_host is a whole number from 1 to 4096, not 0"),
        ({"longest": 1.5}, "longest is a whole number"),
        ({"longest": 60}, "120 s at least and 60 s at most"),
        ({"reports": "my router"}, "reports is an IPv4 address, such as '192.168.1.1', not 'my router'"),
        ({"reports": 5}, "not 5"),
        ({"longest": True}, "longest is a whole number"),
        ({"services": 3}, "services names protocols"),
        ({"refuses": "no"}, "refuses is True or False, not 'no'"),
        ({"permanent_only": True}, "takes igd=1"),
        ({"igd": 3}, "igd is a whole number from 1 to 2"),
    ],
)
def test_a_wrong_configuration_says_what_to_change(axes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GatewayConfig(**axes)  # type: ignore[arg-type]
