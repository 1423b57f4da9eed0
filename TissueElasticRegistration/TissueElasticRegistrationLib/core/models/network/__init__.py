"""The registration network: images and tissue parameters to a stationary velocity (see `RegistrationNetwork`)."""

from ..network_config import NetworkConfig
from .conditioning import MapParameters
from .registration_network import Features, RegistrationNetwork

__all__ = ["Features", "MapParameters", "NetworkConfig", "RegistrationNetwork"]
