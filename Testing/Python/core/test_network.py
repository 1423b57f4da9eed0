"""The registration network: sizes and grids, the two ways of conditioning, nothing lost by its short cuts."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from networks import awake, box_labels, images

from TissueElasticRegistrationLib.core.models.network import MapParameters, NetworkConfig, RegistrationNetwork
from TissueElasticRegistrationLib.core.models.network.conditioning import TissueModulation, blended
from TissueElasticRegistrationLib.core.models.network.layers import Kernel, convolve, convolve_upsampled
from TissueElasticRegistrationLib.core.models.network.padding import Padding

UNIVERSAL_2D = NetworkConfig(2)
UNIVERSAL_3D = NetworkConfig(3, map_layer="tissue", pooled_input=True)
PAPER_2D = NetworkConfig(2, "hyper", 2, half_resolution=False)
CONFIGS = {
    "map 2D": (UNIVERSAL_2D, (40, 56)),
    "map 2D, full resolution": (NetworkConfig(2, half_resolution=False), (40, 56)),
    "tissue 2D": (NetworkConfig(2, map_layer="tissue"), (40, 56)),
    "tissue 3D, pooled": (UNIVERSAL_3D, (24, 32, 40)),
    "map 3D": (NetworkConfig(3, encoder=(8, 8), decoder=(8, 8), final=(8, 8)), (12, 16, 9)),
    "hyper 2D": (NetworkConfig(2, "hyper", 8), (40, 56)),
    "hyper 2D, paper": (PAPER_2D, (33, 48)),
    "hyper 3D": (NetworkConfig(3, "hyper", 2, encoder=(8, 8), decoder=(8, 8), final=(8, 8)), (12, 16, 9)),
}
TISSUES = 4


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def case(request):
    """A network that deforms, an image pair and parameters, two of each."""
    config, shape = request.param
    fixed, moving = images(2, shape)
    sliders = torch.rand(2, TISSUES, 2, generator=torch.Generator().manual_seed(3))
    parameters = MapParameters(box_labels(2, shape, TISSUES), sliders)
    if config.conditioning == "hyper":
        parameters = torch.rand(2, config.parameters, generator=torch.Generator().manual_seed(3))
    return awake(config), fixed, moving, parameters


def straightforward(network: RegistrationNetwork, fixed, moving, parameters) -> torch.Tensor:
    """The same U-Net written as in a textbook: join, convolve, modulate. Images of a size that needs no padding."""
    config = network.config
    conv, pool, average = (
        (F.conv2d, F.max_pool2d, F.avg_pool2d) if config.dimension == 2 else (F.conv3d, F.max_pool3d, F.avg_pool3d)
    )
    x = torch.cat([moving, fixed], 1)
    x = average(x, 2) if config.pooled_input else x
    kernels = network.kernels(parameters) if config.conditioning == "hyper" else network.kernels()

    def factors(number):
        modulation = network.modulation
        head, factor = modulation.heads[number], modulation.factors[number]
        shares = average(F.one_hot(parameters.labels[:, 0], TISSUES).movedim(-1, 1).to(x.dtype), factor)
        if config.map_layer == "tissue":
            return blended(head(modulation.tissue(2 * parameters.sliders - 1)), shares)
        return head(2 * blended(parameters.sliders, shares) - 1)

    def layer(x, number):
        weight, bias = kernels[number]
        y = torch.cat(
            [conv(x[n : n + 1], weight[n % len(weight)], bias[n % len(bias)], padding=1) for n in range(len(x))]
        )
        if config.conditioning == "map" and number >= len(config.encoder):
            scale, shift = factors(number - len(config.encoder)).chunk(2, 1)
            y = (1 + scale) * y + shift
        return F.leaky_relu(y, 0.2)

    skips = []
    for number in range(len(config.encoder)):
        x = layer(x, number)
        skips.append(x)
        x = pool(x, 2)
    number = len(config.encoder)
    for level in range(len(config.decoder)):
        x = layer(x, number)
        number += 1
        if level < len(config.decoder) - 1 or config.pooled_input or not config.half_resolution:
            x = torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skips.pop()], 1)
    for _ in config.final:
        x = layer(x, number)
        number += 1
    return conv(x, network.flow.weight, network.flow.bias, padding=1)


# --- Short cuts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_gradients", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("config", [config for config, _ in CONFIGS.values()], ids=CONFIGS)
def test_the_result_is_that_of_the_straightforward_network(config, with_gradients):
    shape = (32, 64, 32)[: config.dimension]
    network = awake(config).double()
    fixed, moving = (image.double() for image in images(2, shape))
    parameters = torch.rand(2, config.parameters, dtype=torch.float64)
    if config.conditioning == "map":
        parameters = MapParameters(box_labels(2, shape, TISSUES), torch.rand(2, TISSUES, 2, dtype=torch.float64))
    with torch.no_grad():
        expected = straightforward(network, fixed, moving, parameters)
    with torch.set_grad_enabled(with_gradients):
        velocity = network(fixed, moving, parameters)
    assert expected.std() > 0.05
    torch.testing.assert_close(velocity.detach(), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 2, 6)])
def test_a_convolution_of_repeated_voxels_needs_no_repeated_voxels(shape):
    x = torch.randn(2, 3, *shape, dtype=torch.float64)
    kernel = Kernel(torch.randn(1, 4, 3, 3, 3, 3, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64))
    repeated = x.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    with torch.inference_mode():
        torch.testing.assert_close(convolve_upsampled(x, kernel), convolve(repeated, kernel))


def test_modulation_in_slabs_equals_modulation_at_once(monkeypatch):
    monkeypatch.setattr("TissueElasticRegistrationLib.core.models.network.conditioning.SLAB_VALUES", 900)
    y, shares = torch.randn(2, 3, 7, 6, 5), torch.rand(2, 4, 7, 6, 5)
    modulation = TissueModulation(torch.randn(2, 4, 6), shares)
    at_once = modulation(y.clone().requires_grad_())
    with torch.inference_mode():
        torch.testing.assert_close(modulation(y.clone()), at_once.detach())


# --- Grids ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (16, 33), (96, 96), (1, 40)])
def test_images_of_any_size_give_a_velocity_on_half_their_grid(shape):
    velocity = awake(UNIVERSAL_2D)(*images(1, shape), torch.rand(1, 2, *shape))
    assert tuple(velocity.shape) == (1, 2, *(max(1, size // 2) for size in shape))


def test_the_velocity_lies_on_the_grid_of_the_direct_solver():
    from synthetic_pairs import prepared, volume_pair

    level = prepared(volume_pair(), initial="none").pyramid.level(1)
    assert UNIVERSAL_3D.velocity_shape(level.shape) == level.velocity_shape


@pytest.mark.parametrize("size", [16, 24, 31, 33, 5, 3])
@pytest.mark.parametrize("cell", [1, 2])
def test_cutting_off_the_padding_leaves_the_velocity_where_it_was(size, cell):
    padding = Padding.to_multiple((size,), 32, cell)
    cells = (size + sum(padding.before) + sum(padding.after)) // cell
    start = padding.before[0]

    def at(voxel):  # a velocity in image voxels that grows along the axis
        return 0.3 + 0.02 * voxel

    centers = (torch.arange(cells, dtype=torch.float64) + 0.5) * cell - start
    velocity = padding.velocity((at(centers) / cell).view(1, 1, -1))
    count = max(1, size // cell)
    new_cell = size / count
    expected = at((torch.arange(count, dtype=torch.float64) + 0.5) * new_cell) / new_cell
    torch.testing.assert_close(velocity.view(-1), expected)


def test_padding_continues_the_border():
    padding = Padding.to_multiple((3, 5), 4, 2)
    x = torch.arange(15).view(1, 1, 3, 5)
    padded = padding.padded(x)
    assert tuple(padded.shape[2:]) == (4, 8)
    assert padding.before == (0, 0) or all(before % 2 == 0 for before in padding.before)
    inner = padded[..., padding.before[0] :, padding.before[1] :][..., :3, :5]
    assert torch.equal(inner, x)
    assert torch.equal(padded[0, 0, -1, -1], x[0, 0, -1, -1])
    assert torch.equal(padded[0, 0, 0, 0], x[0, 0, 0, 0])


def test_the_surroundings_of_a_padded_image_do_not_matter():
    """An image that had to be padded gives what the same image padded by hand gives."""
    network = awake(UNIVERSAL_2D)
    fixed, moving = images(1, (40, 24))
    maps = torch.rand(1, 2, 40, 24)
    by_hand = [F.pad(x, (4, 4, 4, 4), mode="replicate") for x in (fixed, moving, maps)]
    with torch.inference_mode():
        torch.testing.assert_close(network(fixed, moving, maps), network(*by_hand)[:, :, 2:-2, 2:-2])


# --- Parameters -----------------------------------------------------------------------------------------------------


def test_features_are_used_as_often_as_one_likes(case):
    network, fixed, moving, parameters = case
    with torch.inference_mode():
        features = network.encode(fixed, moving)
        first = network.decode(features, parameters)
        other = (
            parameters.with_sliders(1 - parameters.sliders) if isinstance(parameters, MapParameters) else 1 - parameters
        )
        changed = network.decode(features, other)
        again = network.decode(features, parameters)
    assert torch.equal(first, again)
    assert (changed - first).abs().max() > 1e-3


def test_with_and_without_gradients_gives_the_same(case):
    network, fixed, moving, parameters = case
    with torch.inference_mode():
        velocity = network(fixed, moving, parameters)
    torch.testing.assert_close(network(fixed, moving, parameters).detach(), velocity, atol=1e-5, rtol=1e-4)


def test_every_pair_of_a_batch_has_its_own_parameters(case):
    network, fixed, moving, parameters = case
    with torch.inference_mode():
        together = network(fixed, moving, parameters)
        for number in range(2):
            one = slice(number, number + 1)
            own = (
                MapParameters(parameters.labels[one], parameters.sliders[one])
                if isinstance(parameters, MapParameters)
                else parameters[one]
            )
            torch.testing.assert_close(network(fixed[one], moving[one], own), together[one], atol=1e-5, rtol=1e-4)


def test_one_vector_may_serve_all_pairs_of_a_batch():
    network, (fixed, moving), vector = awake(PAPER_2D), images(3, (32, 32)), torch.rand(1, 2)
    torch.testing.assert_close(
        network(fixed, moving, vector), network(fixed, moving, vector.expand(3, -1)), atol=1e-5, rtol=1e-4
    )


def test_nothing_changes_the_model(case):
    network, fixed, moving, parameters = case
    before = copy.deepcopy(network.state_dict())
    with torch.inference_mode():
        network(fixed, moving, parameters)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_gradients_reach_every_weight_and_the_sliders(case):
    network, fixed, moving, parameters = case
    sliders = parameters.sliders if isinstance(parameters, MapParameters) else parameters
    sliders.requires_grad_()
    network(fixed, moving, parameters).square().sum().backward()
    assert sliders.grad.abs().min() > 0
    missing = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not missing


def test_gradients_flow_through_shares_that_were_computed_without():
    shape = (32, 32)
    network, (fixed, moving) = awake(UNIVERSAL_2D), images(1, shape)
    parameters = MapParameters(box_labels(1, shape, TISSUES), torch.rand(1, TISSUES, 2))
    with torch.inference_mode():
        network(fixed, moving, parameters)
    sliders = parameters.sliders.clone().requires_grad_()
    network(fixed, moving, parameters.with_sliders(sliders)).sum().backward()
    assert sliders.grad.abs().min() > 0


@pytest.mark.parametrize("map_layer", ["conv", "tissue"])
def test_labels_and_shares_say_the_same(map_layer):
    shape = (36, 40)
    network, (fixed, moving) = awake(NetworkConfig(2, map_layer=map_layer)), images(1, shape)
    labels, sliders = box_labels(1, shape, TISSUES), torch.rand(1, TISSUES, 2)
    shares = F.one_hot(labels[:, 0], TISSUES).movedim(-1, 1).float()
    with torch.inference_mode():
        torch.testing.assert_close(
            network(fixed, moving, MapParameters(shares, sliders)),
            network(fixed, moving, MapParameters(labels, sliders)),
        )


def test_a_map_of_sliders_says_the_same_as_tissues_with_these_sliders():
    shape = (36, 40)
    network, (fixed, moving) = awake(UNIVERSAL_2D), images(1, shape)
    labels, sliders = box_labels(1, shape, TISSUES), torch.rand(1, TISSUES, 2)
    maps = sliders[0][labels[:, 0]].movedim(-1, 1)
    with torch.inference_mode():
        torch.testing.assert_close(
            network(fixed, moving, maps), network(fixed, moving, MapParameters(labels, sliders)), atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("config", [UNIVERSAL_2D, NetworkConfig(2, map_layer="tissue")], ids=["conv", "tissue"])
def test_equal_sliders_in_all_tissues_are_the_global_model(config):
    shape = (32, 48)
    network, (fixed, moving) = awake(config), images(1, shape)
    equal = torch.tensor([0.2, 0.7])
    with torch.inference_mode():
        torch.testing.assert_close(
            network(fixed, moving, MapParameters(box_labels(1, shape, 5), equal.expand(1, 5, 2))),
            network(fixed, moving, MapParameters(torch.zeros(1, 1, *shape, dtype=torch.long), equal.view(1, 1, 2))),
            atol=1e-5,
            rtol=1e-4,
        )


def test_more_tissues_need_no_other_model():
    shape = (32, 48)
    network, (fixed, moving) = awake(UNIVERSAL_3D), images(1, (16, *shape))
    labels = box_labels(1, (16, *shape), 2)
    few = MapParameters(labels, torch.tensor([[[0.2, 0.3], [0.8, 0.7]]]))
    many = MapParameters(labels + 5, torch.cat([torch.rand(1, 5, 2), few.sliders], 1))
    with torch.inference_mode():
        torch.testing.assert_close(network(fixed, moving, few), network(fixed, moving, many), atol=1e-5, rtol=1e-4)


def test_shares_are_measured_once_per_pair(monkeypatch):
    shape = (32, 48)
    network, (fixed, moving) = awake(NetworkConfig(2, map_layer="tissue")), images(1, shape)
    parameters = MapParameters(box_labels(1, shape, 3), torch.rand(1, 3, 2))
    network(fixed, moving, parameters)
    monkeypatch.setattr(MapParameters, "_measured", None)
    network(fixed, moving, parameters.with_sliders(torch.rand(1, 3, 2)))


def test_shares_measured_for_one_network_do_not_disturb_another():
    """They differ where the networks pad differently."""
    shape = (24, 40)
    fixed, moving = images(1, shape)
    labels, sliders = box_labels(1, shape, 3), torch.rand(1, 3, 2)
    shallow = awake(NetworkConfig(2, map_layer="tissue", encoder=(8, 8), decoder=(8, 8), final=(8,)))
    deep = awake(NetworkConfig(2, map_layer="tissue"))
    parameters = MapParameters(labels, sliders)
    with torch.inference_mode():
        shallow(fixed, moving, parameters)
        torch.testing.assert_close(deep(fixed, moving, parameters), deep(fixed, moving, MapParameters(labels, sliders)))


# --- Beginnings and mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [UNIVERSAL_2D, PAPER_2D], ids=["map", "hyper"])
def test_an_untrained_network_hardly_deforms(config):
    torch.manual_seed(0)
    network = RegistrationNetwork(config)
    parameters = torch.rand(1, 2) if config.conditioning == "hyper" else torch.rand(1, 2, 32, 32)
    velocity = network(*images(1, (32, 32)), parameters)
    assert 0 < velocity.abs().max() < 1e-2


def test_the_flow_head_is_plain_in_the_paper_mode():
    network = awake(PAPER_2D)
    assert tuple(network.flow.weight.shape) == (2, 16, 3, 3)
    assert len(network.kernels(torch.rand(1, 2))) == len(PAPER_2D.encoder + PAPER_2D.decoder + PAPER_2D.final)


def test_sliders_act_and_learn_through_a_hypernetwork_whose_units_are_all_switched_off():
    """Plain rectifiers that are switched off for every input stay so for ever."""
    kernels = RegistrationNetwork(PAPER_2D).kernels
    for layer in kernels.hidden:
        torch.nn.init.constant_(layer.bias, -3.0)
    one, other = kernels(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))[0].weight
    assert (one - other).abs().max() > 1e-4
    one.square().sum().backward()
    assert all(layer.weight.grad.abs().max() > 0 for layer in kernels.hidden)


@pytest.mark.parametrize(("dimension", "made", "total"), [(2, 108_880, 14_128_754), (3, 326_032, None)])
def test_the_hypernetwork_makes_as_many_weights_as_the_papers(dimension, made, total):
    config = NetworkConfig(dimension, "hyper", 2, half_resolution=False, hyper_widths=(128,) * 6 if total else (4,))
    network = RegistrationNetwork(config)
    kernels = network.kernels(torch.rand(1, 2))
    assert sum(kernel.weight.numel() + kernel.bias.numel() for kernel in kernels) == made
    if total:
        assert sum(weight.numel() for weight in network.parameters()) == total


@pytest.mark.parametrize("config", [PAPER_2D, NetworkConfig(2, "hyper", 8), UNIVERSAL_2D, UNIVERSAL_3D])
def test_the_weights_of_a_shipped_kind_stay_below_ten_megabytes(config):
    assert 4 * sum(weight.numel() for weight in RegistrationNetwork(config).parameters()) < 9e6


def test_learning_from_both_precisions_ends_in_single_precision():
    network, (fixed, moving) = awake(UNIVERSAL_2D), images(1, (32, 32))
    with torch.autocast("cpu", torch.bfloat16):
        velocity = network(fixed, moving, torch.rand(1, 2, 32, 32))
    assert velocity.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimension": 4}, "2 or 3 dimensions"),
        ({"conditioning": "film"}, "Unknown conditioning"),
        ({"map_layer": "dense"}, "map layer"),
        ({"pooled_input": True, "half_resolution": False}, "full resolution"),
        ({"encoder": (8, 8)}, "equally many levels"),
        ({"final": ()}, "at least one level"),
        ({"parameters": 0}, "at least one"),
    ],
)
def test_an_impossible_architecture_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**{"dimension": 2, **change})


def test_inputs_that_do_not_fit_are_refused():
    network = awake(UNIVERSAL_2D)
    fixed, moving = images(1, (32, 32))
    with pytest.raises(ValueError, match="of one shape"):
        network.encode(fixed, moving[..., :-1])
    with pytest.raises(ValueError, match="two 2D images"):
        network.encode(fixed[None], moving[None])
    with pytest.raises(ValueError, match="labels 0 to 1 only"):
        network(fixed, moving, MapParameters(box_labels(1, (32, 32), 3), torch.rand(1, 2, 2)))
    with pytest.raises(ValueError, match=r"Sliders \(B, C, 2\)"):
        MapParameters(box_labels(1, (32, 32), 3), torch.rand(3, 2))
    with pytest.raises(ValueError, match="vector of 2 sliders"):
        awake(PAPER_2D)(fixed, moving, torch.rand(1, 8))
    with pytest.raises(ValueError, match="not maps of sliders"):
        awake(NetworkConfig(2, map_layer="tissue"))(fixed, moving, torch.rand(1, 2, 32, 32))
