"""One working pair as a network sees it: turned, at its resolution, its tissues as the network knows them."""

from __future__ import annotations

import math

import torch

from ..data.tissues import BACKGROUND, TissueParameters
from ..models.model_card import ModelCard
from ..models.model_fit import classes, goes_slice_by_slice
from ..models.model_pack import ModelPack
from ..models.network import MapParameters, RegistrationNetwork
from ..models.orientation import axis_order
from ..physics.deformation import average_pooled, resize
from ..preparation.preprocessing import WorkingPair
from ..preparation.pyramid import Pyramid

SPACING_TOLERANCE = 0.8  # voxels this much smaller than any in training, or larger, are worth a note
FACTORS = (1, 2, 4, 8)


class NetworkPair:
    """A pair encoded once; `velocity` then costs one pass through the decoder.

    Args:
        pack: The model.
        network: Its network, on the device of the pyramid.
        pyramid: The working pair.
        factor: Over so many voxels images are averaged along every axis where they may be.

    Raises:
        ValueError: If the model cannot register such images, or does not know one of their tissues.
    """

    def __init__(self, pack: ModelPack, network: RegistrationNetwork, pyramid: Pyramid, factor: int) -> None:
        self._card, self._network, self._pair = pack.card, network, pyramid.pair
        self._velocity_shape = tuple(
            n // (2 if pooled else 1)
            for n, pooled in zip(pyramid.pair.fixed.shape[2:], pyramid.pair.pooled_axes, strict=True)
        )
        self._per_slice = goes_slice_by_slice(pack.card, pyramid.pair.pooled_axes)
        self._factors = tuple(factor if pooled else 1 for pooled in pyramid.pair.pooled_axes)
        self._order = axis_order(pyramid.pair.geometry, pack.card.orientation, pack.card.dimension)
        self._classes = classes(pack.card, pyramid.pair.tissues)
        self._device = pyramid.device
        fixed, moving = (self._seen(image.to(self._device)) for image in (pyramid.pair.fixed, pyramid.pair.moving))
        with torch.no_grad():  # no inference tensors: `velocity_at` may need derivatives
            self._features = network.encode(fixed, moving)
        self._maps = self._tissue_maps() if pack.card.network.conditioning == "map" else None

    def velocity(self, parameters: TissueParameters) -> torch.Tensor:
        """The network's velocity, (1, D, *velocity shape of the full level) in voxels of that grid.

        Args:
            parameters: λ and μ of every tissue.
        """
        with torch.inference_mode():
            velocity = self.velocity_at(self._sliders(parameters))
        return velocity.clone()  # a solver goes on from it with gradients

    def velocity_at(self, sliders: torch.Tensor) -> torch.Tensor:
        """`velocity`, differentiable by slider positions.

        Args:
            sliders: (tissues, 2) positions of λ and μ in [0, 1], in the order of the pair's tissues.
        """
        velocity = self._order.vectors_back(self._network.decode(self._features, self._inputs(sliders)))
        if self._per_slice:
            in_plane = velocity.movedim(0, 1)[None]
            velocity = torch.cat([torch.zeros_like(in_plane[:, :1]), in_plane], 1)
        return resize(velocity, self._velocity_shape)

    def notes(self, parameters: TissueParameters) -> tuple[str, ...]:
        """What a user should know about using this model for this pair, one sentence each."""
        notes = []
        finest = min(size * factor for size, factor in zip(self._pair.spacing_mm, self._factors, strict=True))
        low, high = self._card.spacing_mm
        if not low * SPACING_TOLERANCE <= finest <= high / SPACING_TOLERANCE:
            notes.append(
                f"The model '{self._card.name}' was trained on voxel sizes of {low:.3g} to {high:.3g} mm; "
                f"these images have {finest:.3g} mm."
            )
        if not self._card.has_lambda:
            notes.append(f"The model '{self._card.name}' has one weight per tissue, μ; λ has no effect.")
        if self._maps is None:
            sliders = self._sliders(parameters)[:, 0 if self._card.has_lambda else 1 :]
            notes += [
                f"The model '{self._card.name}' has one elasticity for {name}; the mean of its tissues is used."
                for name, members in self._members().items()
                if len(sliders[members].unique(dim=0)) > 1
            ]
        return tuple(notes)

    def _inputs(self, sliders: torch.Tensor) -> MapParameters | torch.Tensor:
        if self._maps is not None:
            return self._maps.with_sliders(sliders[None].to(self._device))
        # All λ, then all μ, in the order of the card's tissues; the diffusion regularizer has one weight, kept as μ.
        lam, mu = torch.stack([self._mean(sliders, members) for members in self._members().values()]).T
        vector = torch.cat([lam, mu]) if self._card.has_lambda else mu
        return vector[None].to(self._device)

    def _sliders(self, parameters: TissueParameters) -> torch.Tensor:
        """(tissues, 2) slider positions of λ and μ, in the order of the pair's tissues."""
        scale = self._card.parameter_scale
        lame = [parameters[tissue.label] for tissue in self._pair.tissues]
        return torch.tensor([[scale.slider(one.lam), scale.slider(one.mu)] for one in lame])

    def _members(self) -> dict[str, list[int]]:
        """For each place of a hypernetwork's vector, by name, which of the pair's tissues belong to it.

        Air does not count beside other tissues; a class that is not in the image takes the first tissue's sliders.
        """
        members = {}
        for place, name in enumerate(self._card.tissues or ("the whole body",)):
            found = [number for number, own in enumerate(self._classes) if own == place]
            solid = [number for number in found if self._pair.tissues[number].label != BACKGROUND]
            members[name] = solid or found or [0]
        return members

    def _mean(self, sliders: torch.Tensor, members: list[int]) -> torch.Tensor:
        """Of some tissues, weighted by their size."""
        sizes = [int((self._pair.labels == self._pair.tissues[number].label).sum()) for number in members]
        weights = torch.tensor(sizes, dtype=sliders.dtype).clamp_min(1)
        return (sliders[members] * weights[:, None]).sum(0) / weights.sum()

    def _tissue_maps(self) -> MapParameters:
        tissues = self._pair.tissues
        place = torch.zeros(max(tissue.label for tissue in tissues) + 1, dtype=torch.long)
        for number, tissue in enumerate(tissues):
            place[tissue.label] = number
        numbers = place[self._pair.labels.long()].to(self._device)
        if max(self._factors) > 1:
            numbers = torch.cat([average_pooled((numbers == n).float(), self._factors) for n in range(len(tissues))], 1)
        return MapParameters(self._turned(numbers), torch.zeros(1, len(tissues), 2, device=self._device))

    def _seen(self, image: torch.Tensor) -> torch.Tensor:
        return self._turned(average_pooled(image, self._factors))

    def _turned(self, x: torch.Tensor) -> torch.Tensor:
        """(1, C, *shape) -> as the network wants it; the slices of a volume as a batch."""
        return self._order.turned(x[0].movedim(0, 1) if self._per_slice else x)


def likely_factors(card: ModelCard, pair: WorkingPair) -> tuple[int, ...]:
    """Over how many voxels per axis images may be averaged so that they look like those of the training.

    All whose voxels have at least half of the smallest and at most the largest size trained on, or the one that comes
    closest. Which of them is best depends on how large the motion is in voxels: a heart is not a body.

    Args:
        card: Of the model.
        pair: The working pair.
    """
    finest = _finest_mm(pair)
    low, high = card.spacing_mm
    near = tuple(factor for factor in FACTORS if low / 2 <= finest * factor <= high)
    return near or (min(FACTORS, key=lambda factor: abs(math.log(finest * factor / math.sqrt(low * high)))),)


def _finest_mm(pair: WorkingPair) -> float:
    """Voxel size along the axes that may be averaged."""
    pooled = [size for size, may_be in zip(pair.spacing_mm, pair.pooled_axes, strict=True) if may_be]
    return min(pooled or pair.spacing_mm)
