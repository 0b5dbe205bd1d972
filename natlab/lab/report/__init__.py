"""Does a NAT box keep the rules? Each requirement of the RFCs, measured by probes from outside the box.

    nat_report("linux")            python -m natlab nat-report linux            lab.nat_report(box)

    plug  <── prober ──>  plug     a probe for each requirement sends packets on both sides of the box and judges by
      └────── box ────────┘        what comes out where: the box's configuration is never looked at

    ground.py        where the box stands: simulated, or Linux's nftables (`natlab.netns.KernelNat`)
    prober.py        the computers on both sides, and what they can do
    requirement.py   what a requirement and a finding are
    behaviour.py     questions that are the same for UDP and TCP
    silence.py       how timers are found
    udp.py           RFC 4787, RFC 7857 section 7.1
    fragments.py     ... sections 10 and 11
    tcp.py           RFC 5382, RFC 7857 section 2
    icmp.py          RFC 5508, and the ICMP of the other two
    carrier.py       RFC 6888, if asked for
    measure.py       all of them, one after the other
    table.py         the report as one looks at it
    comparison.py    several reports as a map

The same probes measure the simulated box and Linux, so that "linux" can be held against what it is named after.
"""

from natlab.lab.report.comparison import comparison
from natlab.lab.report.measure import CARRIERS_REQUIREMENTS, REQUIREMENTS, measure, nat_report, report_on
from natlab.lab.report.requirement import Level, Verdict
from natlab.lab.report.table import Report

__all__ = [
    "CARRIERS_REQUIREMENTS",
    "REQUIREMENTS",
    "Level",
    "Report",
    "Verdict",
    "comparison",
    "measure",
    "nat_report",
    "report_on",
]
