"""Half-cheetah: 25 traces of a simulated two-legged runner, 1,000 steps of 17 numbers.

Recorded from a policy in the MuJoCo HalfCheetah environment of OpenAI Gym by
Lechner and Hasani for their liquid time-constant networks. Apache-2.0.
"""

import numpy as np

from zoo.data.fetch import Dataset

FEATURES = 17
WINDOW = 32
STRIDE = 10
# The split of Hasani et al., Liquid Time-constant Networks, AAAI 2021.
SPLITS = {"train": range(15, 25), "validation": range(0, 5), "test": range(5, 15)}

DATASET = Dataset(
    name="half_cheetah",
    title="HalfCheetah observation traces (Lechner and Hasani)",
    source=(
        "https://raw.githubusercontent.com/raminmh/liquid_time_constant_networks/"
        "4a8a4fa22a91c4067b6944a264819ff30a4aae9d/experiments_with_ltcs/data/cheetah/"
    ),
    license="Apache-2.0",
    digests={
        "trace_0000.npy": "c043e141c6dd99e9b41ac7a9d4bc741b0991cff6a769954517e9c204ce3c7ccc",
        "trace_0001.npy": "f231fe66284b535c745f9f44a595aac2f740b988171d3db3201597e821c6c5d3",
        "trace_0002.npy": "7ff8a0c8974247187717417f6a163023b739c3a22a374894becff1723ce67f68",
        "trace_0003.npy": "28109a8f9eae1ec0246aca4f5bfa10ebf21e9f86e62e448b9f8b66f345091680",
        "trace_0004.npy": "b478f21d00868db66d6aef8a14ed69f6214120870cc1491dec85a3f74aeb46eb",
        "trace_0005.npy": "45e6288f3d5ba610b98aea300c117b032c6585144eb55e7f7fb67178d71eb4d6",
        "trace_0006.npy": "ab93f0d3b9e0c5f1a7886a089e76d5ff99f955ad0671f23d98351d05fecf4913",
        "trace_0007.npy": "e29bc1ffee113f760b3efd33831dea0485626e2deddc1ee7a81baf30344aeaaa",
        "trace_0008.npy": "c7028a2301720e65a31f608d362c03f811aca977ebb0f3ee0d6985bc4f6f1c2c",
        "trace_0009.npy": "937afdd66e3c6487a48b1d04c2f2120ba24be563296f5bfaa8bef741083c7b7c",
        "trace_0010.npy": "625dbb7c7f8451816799b3dcd47d20ace4a82019e52d467e7a985422551be890",
        "trace_0011.npy": "d230f2c43a84462fda2f5af28480f7a2b7945f032731587fca896229dc3b02dc",
        "trace_0012.npy": "feef3754c2c547fdd7cfd697323eea81b212c854bfd3029f04048e277b9399c1",
        "trace_0013.npy": "53e9e0d128f9e21def2ee015bc41c40184b22df5928d05f5a978687d3696c76d",
        "trace_0014.npy": "f022f778ad332f8c6986709ca27dd18823130bb3a7f71f646c8a5ccdc483acda",
        "trace_0015.npy": "bcb9e34a17317e31f22ef71d82aa180c282ab08b81a21bfcfefb827dabbd8ee8",
        "trace_0016.npy": "7d22f86d205728c7c106d43c97cfc4038621700bc88bf4081855e1c01b2c9229",
        "trace_0017.npy": "403d52608b364089a4c8d48cc89758eacdb89b572ef6ca0c0829a4cf40fb063c",
        "trace_0018.npy": "6d8322ec8351fb68ec11e4173ed23c4c247c23faa4e66be6cfa3dbeec0717e5a",
        "trace_0019.npy": "7354afb2041a1af8117f0c2dca36f57cd489d6bb77f939bc81d134409836b358",
        "trace_0020.npy": "9d22d9138c0fd51eaa8271e484ce0a5b3c3f8ef592f5c91cf55933af4091e4d2",
        "trace_0021.npy": "363b31828ed262556cb987dc7ad470c8c039e6ca492a92e9139d4ab5422924d1",
        "trace_0022.npy": "27f624129fdeca0c4fa40499cb48ba5321d2bfd9b4effd0de189124de9fb7a5f",
        "trace_0023.npy": "680f5675eed8d8cc62ca9fcba2fe0f23a2acbad51019b7bb0d3954dc6e607e9b",
        "trace_0024.npy": "ae98a98829f61ec23260818743e7f659601641c459a4a797a8df86e235ec4b85",
    },
)


def traces(split: str) -> np.ndarray:
    """The traces of a split: float32 (traces, 1000, 17)."""
    from lnn_keras.choices import require_choice

    numbers = SPLITS[require_choice("split", split, SPLITS)]
    paths = DATASET.fetch()
    loaded = [np.load(paths[f"trace_{n:04d}.npy"], allow_pickle=False) for n in numbers]
    return np.stack(loaded).astype("float32")


def windows(traces: np.ndarray, stride: int = STRIDE) -> tuple[np.ndarray, np.ndarray]:
    """Cut traces into inputs and targets one step later: each (windows, 32, 17).

    Windows start at 0, stride, 2 stride, ... below length - 33, as in the paper.
    """
    starts = range(0, traces.shape[1] - WINDOW - 1, stride)
    inputs = [trace[s : s + WINDOW] for trace in traces for s in starts]
    targets = [trace[s + 1 : s + 1 + WINDOW] for trace in traces for s in starts]
    return np.stack(inputs), np.stack(targets)
