"""The window VAE: its size, ONNX equal to torch, the same bytes from the same seed, and strange windows above calm ones."""

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch

from models.detectors.vae import VaeLikelihood
from models.detectors.views import WINDOW, ViewedBlock
from models.export import TOLERANCE, export_window
from models.model_files import ModelError
from models.net import WINDOW_LATENT, WindowVae
from models.train import WindowTraining, train_window_vae
from tests.models.detectors.made import COUNT, viewed, views

pytestmark = pytest.mark.slow

QUICK = WindowTraining(steps=60)
F32 = npt.NDArray[np.float32]


def train(windows: F32, numbers: npt.NDArray[np.int64], seed: int) -> bytes:
    return train_window_vae(windows, numbers, seed, training=QUICK)


def session(seed: int, instrument: int) -> ViewedBlock:
    rng = np.random.Generator(np.random.PCG64(seed))
    mixing = np.random.Generator(np.random.PCG64(0)).normal(size=(3, COUNT))
    z = rng.normal(size=(1_500, 3)) @ mixing / 1.7 + 0.3 * rng.normal(size=(1_500, COUNT))
    return viewed(z, instrument)


@pytest.fixture(scope="module")
def measure() -> VaeLikelihood:
    made = VaeLikelihood(train)
    made.fit([session(1, 5), session(2, 9)], 7)
    return made


def test_network_has_between_10_and_60_thousand_parameters() -> None:
    count = sum(parameter.numel() for parameter in WindowVae(WINDOW, COUNT, instruments=64).parameters())
    assert 10_000 <= count <= 60_000


def test_onnx_equals_torch_within_1e_5_for_any_number_of_rows() -> None:
    torch.manual_seed(3)
    net = WindowVae(WINDOW, COUNT, instruments=4)
    raw, difference = export_window(net)
    assert difference <= TOLERANCE == 1e-5
    runtime = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    rng = np.random.Generator(np.random.PCG64(4))
    for rows in (1, 7, 300):
        z = rng.normal(0, 4, (rows, WINDOW, COUNT)).astype(np.float32)
        who = rng.integers(0, 5, rows)
        with torch.no_grad():
            wanted = net(torch.from_numpy(z), torch.from_numpy(who)).numpy()
        (found,) = runtime.run(None, {"z": z, "instrument": who})
        assert (np.abs(found - wanted) <= 1e-5 * (1 + np.abs(wanted))).all()


def test_loss_reaches_the_embedding_of_the_unknown_and_of_the_known() -> None:
    torch.manual_seed(3)
    net = WindowVae(WINDOW, COUNT, instruments=2)
    loss = net.loss(torch.randn(8, WINDOW, COUNT), torch.tensor([0, 1] * 4), torch.zeros(8, WINDOW_LATENT), beta=1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert net.embedding.weight.grad is not None
    assert net.embedding.weight.grad.abs().sum(dim=1).gt(0).tolist() == [True, True, False]


def test_window_made_strange_scores_higher_and_names_its_feature(measure: VaeLikelihood) -> None:
    seen = next(session(3, 5).pieces())
    usual = measure.parts(seen).sum(axis=1)
    strange = seen.window[:20].copy()
    strange[:, :, 4] = -7.0
    parts = measure.parts(views(strange, 5))
    assert (parts.sum(axis=1) > usual[:20] + 5).all()
    assert parts.sum(axis=1).mean() > np.quantile(usual, 0.99)
    assert (parts.argmax(axis=1) == 4).all()
    assert (parts >= 0).all()


def test_unknown_instruments_share_an_embedding_and_are_judged_about_as_the_known(measure: VaeLikelihood) -> None:
    seen = next(session(4, 5).pieces())
    unknown = measure.parts(views(seen.window, 1234))
    assert (unknown == measure.parts(views(seen.window, 77))).all()
    assert unknown.sum(axis=1).mean() == pytest.approx(measure.parts(seen).sum(axis=1).mean(), rel=0.2)


def test_beyond_the_clip_nothing_grows_and_nothing_breaks(measure: VaeLikelihood) -> None:
    windows = np.full((1, WINDOW, COUNT), 20.0, dtype=np.float32)
    assert (measure.parts(views(windows, 5)) == measure.parts(views(windows / 2, 5))).all()


def test_same_seed_gives_the_same_bytes_and_they_can_be_loaded_again(measure: VaeLikelihood) -> None:
    again = VaeLikelihood(train)
    again.fit([session(1, 5), session(2, 9)], 7)
    assert again.onnx == measure.onnx
    seen = next(session(5, 9).pieces())
    loaded = VaeLikelihood(train)
    loaded.use(measure.onnx)
    loaded.load(measure.arrays())
    assert loaded.parts(seen).tobytes() == measure.parts(seen).tobytes()


def test_bytes_that_are_no_network_are_refused() -> None:
    loaded = VaeLikelihood(train)
    loaded.use(b"nothing")
    with pytest.raises(ModelError, match="window VAE"):
        loaded.parts(next(session(5, 9).pieces()))
