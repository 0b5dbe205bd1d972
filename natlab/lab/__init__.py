"""The lab: build an internet, run nodes on it, look at what happened.

lab.py        Lab: build and break; run.py time; look.py what it shows: tables, pictures, captures
boxes.py      what lab.nat asks for, as configurations
bare.py       bare hosts; bare_sockets.py their sockets; this_computer.py the reader's own, over loopback
bad_input.py  what people hand to a lab's verbs, checked
classify.py   what a host found out about its NAT by STUN
seed.py       chance, derived from the seed and the owner's name
views/        journal -> tables (pandas) and the reachability graph (networkx)
ladder/       journal -> the packet ladder
draw.py       the map of a lab: topology and reachability
capture.py    journal -> capture files
figure.py     a picture with alt text and plain text; svg.py its shapes, palette.py its colours
checks.py     what the notebooks' exercises check answers with
six_packets.py, knocks.py, udp_timers.py    a NAT box seen from outside: its table, its door, its patience
report/       which rules of the RFCs a NAT box keeps, each measured
zero_delay.py the trap of labs without delay
port_reuse.py what the lesson on SO_REUSEPORT plays, draws and checks; which_nat.py the one on classifying NATs
firewalls_and_nats.py  what the lesson that compares them plays and checks
preset_table.py  the NAT boxes that have a name
demo.py       the first hole punch, for `python -m natlab demo`
"""

from natlab.lab.lab import OUTCOMES, Lab
from natlab.lab.preset_table import presets

__all__ = ["OUTCOMES", "Lab", "presets"]
