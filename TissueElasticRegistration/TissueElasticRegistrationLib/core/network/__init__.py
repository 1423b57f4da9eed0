"""The registration network: images and tissue parameters to a stationary velocity (see `RegistrationNetwork`)."""

from .conditioning import MapParameters
from .config import NetworkConfig
from .registration_network import Features, RegistrationNetwork

__all__ = ["Features", "MapParameters", "NetworkConfig", "RegistrationNetwork"]
