"""The recipe for the images at hand: the published one for ImageNet's, and a sane one for any other set."""

import math

import pytest

from nas.recipe.fitted import Images, fitted_recipe
from nas.recipe.published import recipe_for
from space.errors import InputError
from space.networks import named_network

TINY = named_network("convnext_tiny")


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("convnext_tiny", "imagenet-1k"),
        ("convnext_base", "imagenet-1k"),
        ("convnext_isotropic_small", "imagenet-1k"),
        ("swin_tiny", "imagenet-1k"),
        ("resnet50", "imagenet-1k"),
        ("convnext_base", "finetune-1k"),
        ("convnext_xlarge", "finetune-22k"),
    ],
)
def test_as_many_images_as_imagenet_have_the_published_recipe(name, variant):
    network = named_network(name)
    # a large image: the fine-tunings' 384 pixels are not more than there are
    images = Images("imagenet-1k", 1_281_167, 1000, pixels=400)
    assert fitted_recipe(network, images, variant=variant, gpus=8) == recipe_for(network, variant=variant)


def test_a_set_of_nearly_that_size_has_it_too():
    part = Images("imagenet-1k", 1_231_121, 1000, pixels=375)
    assert fitted_recipe(TINY, part, gpus=8) == recipe_for(TINY)


@pytest.mark.parametrize("images", [2, 7, 20, 100, 600, 5_000, 60_000, 400_000, 3_000_000])
@pytest.mark.parametrize("gpus", [1, 3, 8])
@pytest.mark.parametrize("variant", ["imagenet-1k", "finetune-22k"])
def test_no_set_is_too_small_or_too_large_for_it(images, gpus, variant):
    gpus = min(gpus, images)
    recipe = fitted_recipe(TINY, Images("photos", images, 2), variant=variant, gpus=gpus)
    total, steps = recipe.total_batch_size, images // recipe.total_batch_size
    assert total % gpus == 0 and total == recipe.batch_size * recipe.accumulation * gpus
    assert 1 <= total <= max(images / 16, min(8, images), gpus)
    assert recipe.schedule.warmup_epochs <= recipe.epochs / 10
    if variant == "finetune-22k":
        assert recipe.epochs * steps >= 500 and recipe.optimizer.lr == 5e-5


def test_600_small_photographs_have_a_small_batch_and_what_follows_from_it():
    names = tuple(f"class {i}" for i in range(10))
    recipe = fitted_recipe(TINY, Images("photos", 600, 10, names, pixels=64))
    assert (recipe.total_batch_size, recipe.devices, recipe.epochs) == (32, 1, 300)
    assert recipe.optimizer.lr == pytest.approx(4e-3 * math.sqrt(32 / 4096), rel=0.02)
    data = recipe.data
    assert (data.name, data.num_classes, data.classes, data.resolution) == ("photos", 10, names, 64)
    assert data.eval_crop == 1 and recipe.augmentation.random_resized_crop == (0.25, 1)
    # the average's memory is a share of the training's 5,400 steps
    assert recipe.ema_decay == pytest.approx(math.exp(-7.5 / (300 * 18)), abs=1e-6)
    assert recipe.architecture["drop_path"] == 0.1


def test_images_of_32_pixels_are_padded_and_not_cut():
    augmentation = fitted_recipe(TINY, Images("cifar", 50_000, 10, pixels=32)).augmentation
    assert augmentation.random_resized_crop is None and augmentation.crop_padding == 8


@pytest.mark.parametrize(
    ("pixels", "variant", "resolution"),
    [
        (None, "imagenet-1k", 224),
        (3000, "imagenet-1k", 224),
        (200, "imagenet-1k", 192),
        (28, "imagenet-1k", 64),
        (28, "finetune-1k", 224),
        (300, "finetune-1k", 288),
        (3000, "finetune-1k", 384),
    ],
)
def test_pixels_are_no_more_than_the_images_have(pixels, variant, resolution):
    recipe = fitted_recipe(TINY, Images("photos", 5000, 10, pixels=pixels), variant=variant)
    assert recipe.data.resolution == resolution
    given = fitted_recipe(TINY, Images("photos", 5000, 10, pixels=pixels), variant=variant, resolution=96)
    assert given.data.resolution == 96


def test_more_images_than_imagenet_have_fewer_epochs():
    whole = fitted_recipe(TINY, Images("imagenet-22k", 14_197_122, 21841), gpus=8)
    assert whole.epochs == 90 and whole.total_batch_size == 4096


def test_what_cannot_be_trained_is_one_line():
    with pytest.raises(InputError, match="photos: 1 training images are too few"):
        fitted_recipe(TINY, Images("photos", 1, 2))
    with pytest.raises(InputError, match="gpus 0: must be from 1 to the 100 training images"):
        fitted_recipe(TINY, Images("photos", 100, 2), gpus=0)
