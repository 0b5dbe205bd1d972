"""Views: pure functions from a journal to a table or a graph. Each file is one view and documents its columns."""

from natlab.lab.views.connections import connections
from natlab.lab.views.mappings import mappings
from natlab.lab.views.observations import observations
from natlab.lab.views.packets import packets
from natlab.lab.views.port_mappings import port_mappings
from natlab.lab.views.punches import punches
from natlab.lab.views.reachability import reachability

__all__ = ["connections", "mappings", "observations", "packets", "port_mappings", "punches", "reachability"]
