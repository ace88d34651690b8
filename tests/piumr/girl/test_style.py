"""Style statistics and pseudo-groups."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from piumr.girl.style import StyleGroups, style_statistics


def test_statistics_equal_numpy_over_valid_entries():
    x, valid = torch.randn(3, 4, 6, 5), torch.rand(3, 6, 5) > 0.4
    masked = np.ma.array(x.numpy(), mask=~np.broadcast_to(valid.numpy()[:, None], x.shape))
    expected = np.concatenate([masked.mean((2, 3)), masked.std((2, 3))], 1)
    np.testing.assert_allclose(style_statistics(x, valid), expected, atol=1e-6)
    whole = np.concatenate([x.numpy().mean((2, 3)), x.numpy().std((2, 3))], 1)
    np.testing.assert_allclose(style_statistics(x), whole, atol=1e-6)


def test_statistics_take_no_gradient_and_a_clip_without_joints_has_none():
    x, valid = torch.randn(2, 4, 6, 5, requires_grad=True), torch.ones(2, 6, 5, dtype=torch.bool)
    valid[1] = False
    style = style_statistics(x, valid)
    assert not style.requires_grad
    assert style[0].isfinite().all()
    assert style[1].isnan().all()
    assert style_statistics(x.bfloat16()).dtype == torch.float32


class World:
    """Styles that are a class's part, far larger, plus a person's, plus noise; classes as unequal as MA-52's."""

    def __init__(self, features, classes=20, persons=4, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
        self.of_class = 5 * torch.randn(classes, features, generator=self.generator)
        self.of_person = torch.randn(persons, features, generator=self.generator)
        self.frequency = 1 / torch.arange(1, classes + 1)

    def draw(self, n=32):
        targets = torch.multinomial(self.frequency, n, replacement=True, generator=self.generator)
        persons = torch.randint(len(self.of_person), (n,), generator=self.generator)
        noise = torch.randn(n, self.of_class.shape[1], generator=self.generator)
        return self.of_class[targets] + self.of_person[persons] + 0.5 * noise, targets, persons


def trained(world, steps=120, groups=4):
    torch.manual_seed(0)
    module = StyleGroups(len(world.of_class), world.of_class.shape[1], groups)
    for _ in range(steps):
        module(*world.draw()[:2])
    return module.eval()


@pytest.mark.parametrize("features", [16, 128])
def test_groups_are_persons_and_not_classes(features):
    world = World(features)
    module = trained(world)
    style, targets, persons = world.draw(1000)
    groups = module(style, targets)
    assert adjusted_rand_score(persons, groups) > 0.9
    assert normalized_mutual_info_score(targets, groups) < 0.05


def test_standardised_styles_have_no_class_and_unit_spread():
    world = World(16)
    module = trained(world)
    style, targets, _ = world.draw(5000)
    z = module.standardise(style, targets)
    often = [k for k in range(20) if int((targets == k).sum()) > 100]
    assert max(float(z[targets == k].mean(0).abs().mean()) for k in often) < 0.3
    torch.testing.assert_close(z.std(0), torch.ones(16), rtol=0.2, atol=0)


def test_a_class_mean_is_an_exponential_mean_of_its_own_samples():
    module = StyleGroups(2, 1, 1)
    values = torch.randn(60)
    for i, value in enumerate(values):
        module(value.reshape(1, 1), torch.tensor([0]))
        if i % 3 == 0:  # another class in between changes nothing
            module(torch.full((5, 1), 100.0), torch.ones(5, dtype=torch.int64))
    weights = 0.99 ** torch.arange(59, -1, -1)
    expected = (weights * values).sum() / weights.sum()
    torch.testing.assert_close(module.class_sum[0, 0] / module.class_count[0, 0], expected)


@pytest.mark.parametrize("persons", [1, 4])
def test_dead_groups_come_back(persons):
    world = World(128, persons=persons)  # of one person: no clusters, where a centroid on a sample attracts no other
    module = trained(world, steps=50).train()
    module.group_sum[1:] = 1e3 * module.group_count[1:]  # three centroids far from everything
    for _ in range(150):
        module(*world.draw()[:2])
    shares = torch.bincount(module.eval()(*world.draw(1000)[:2]), minlength=4) / 1000
    assert shares.min() > 0.1


def test_buffers_move_in_training_only_and_the_seed_decides():
    world = World(16)
    module = trained(world, steps=20)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    style, targets, _ = world.draw()
    assert torch.equal(module(style, targets), module(style, targets))
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    again = trained(World(16), steps=20)
    assert all(torch.equal(before[name], value) for name, value in again.state_dict().items())
    assert not torch.equal(module.train()(style, targets), torch.full((32,), -1))
    assert not torch.equal(before["group_sum"], module.group_sum)


def test_a_sample_without_style_joins_no_group_and_changes_nothing():
    world = World(16)
    one, two = trained(world, steps=20).train(), trained(World(16), steps=20).train()
    style, targets, _ = world.draw()
    torch.manual_seed(1)
    expected = one(style, targets)
    torch.manual_seed(1)
    unknown = torch.full((3, 16), torch.nan)
    groups = two(torch.cat((style, unknown)), torch.cat((targets, torch.tensor([0, 1, 2]))))
    assert torch.equal(groups[:32], expected)
    assert torch.equal(groups[32:], torch.full((3,), -1))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value)
