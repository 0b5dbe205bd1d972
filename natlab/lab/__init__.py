"""The lab: build an internet, run nodes on it, look at what happened.

The lab itself

    lab             Lab: build and break                    run           time that passes
    look            what it shows                           bad_input     what people hand to its verbs, checked
    boxes           what lab.nat asks for                   gateways      gateway services, port forwards
    seed            chance, from the seed and a name        preset_table  the NAT boxes that have a name
    bare            computers without libp2p                bare_sockets  their sockets
    pinging         ping and traceroute from them           classify      what they find out by STUN
    this_computer   the reader's own, over loopback

What it shows

    views/          journal -> tables, reachability graph   topology      what is connected to what
    ladder/         journal -> the packet ladder            replay        the same with a slider
    draw            the map of a lab                        capture       journal -> capture files
    heat_map        a table of words as colours             chart         numbers over numbers
    figure          a picture with alt text                 svg, palette  its shapes and colours
    progress        how far a sweep is                      demo          `python -m natlab demo`
    report/         which rules of the RFCs a NAT box keeps, each measured

What lessons play, show and check

    checks          what the exercises are checked with     scenes        the first lesson's
    six_packets     be the NAT box: its table               knocks        its door
    udp_timers      its patience                            which_nat     classifying NATs
    port_reuse      SO_REUSEPORT                            firewalls_and_nats  the two compared
    raw_punch       one hole punch, sockets alone           punch_grid    behind all pairs of NATs
    hard_nats       NATs that nobody can foresee            port_prediction     the odds of guessing
    zero_delay      the trap of labs without delay          late_flag     SO_REUSEPORT set late, on this kernel
"""

from natlab.lab.lab import OUTCOMES, Lab
from natlab.lab.preset_table import presets

__all__ = ["OUTCOMES", "Lab", "presets"]
