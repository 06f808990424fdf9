"""Wirings: which synapses exist between inputs and neurons, as seeded pure functions."""

from lnn_keras.wirings.adjacency import Adjacency
from lnn_keras.wirings.fully_connected import FullyConnected
from lnn_keras.wirings.ncp import NCP, AutoNCP
from lnn_keras.wirings.random import Random
from lnn_keras.wirings.wiring import Connections, Wiring

__all__ = ["NCP", "Adjacency", "AutoNCP", "Connections", "FullyConnected", "Random", "Wiring"]
