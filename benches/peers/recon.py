"""Filtered back-projection and SIRT beside ASTRA (CPU) and scikit-image: 512 x 512 from 720 parallel views of a disc."""
import os
import tempfile

import side

import numpy as np

SIZE, VIEWS, PASSES = 512, 720, 5


def sinogram():
    """Line integrals of a disc of radius 200 pixels, 20 pixels off the axis."""
    angles = np.arange(VIEWS) * np.pi / VIEWS
    place = np.arange(SIZE) - (SIZE - 1) / 2
    off = place[None] - 20 * np.cos(angles)[:, None]
    return angles, (2 * np.sqrt(np.maximum(0, 200**2 - off**2))).astype(np.float32)


def astra_job(angles, values, method, passes, option=None):
    import astra
    volume = astra.create_vol_geom(SIZE, SIZE)
    projector = astra.create_projector("linear", astra.create_proj_geom("parallel", 1.0, SIZE, angles), volume)
    image = astra.data2d.create("-vol", volume, 0)
    settings = astra.astra_dict(method)
    settings["ProjectorId"] = projector
    settings["ProjectionDataId"] = astra.data2d.create("-sino", astra.create_proj_geom("parallel", 1.0, SIZE, angles), values)
    settings["ReconstructionDataId"] = image
    if option:
        settings["option"] = option

    def work():
        astra.data2d.store(image, 0)
        job = astra.algorithm.create(settings)
        astra.algorithm.run(job, passes)
        astra.algorithm.delete(job)
    return work


def radon_back(angles, values):
    from skimage.transform import iradon
    return lambda: iradon(values.T, theta=np.rad2deg(angles), output_size=SIZE, filter_name="ramp", circle=True)


def main():
    chosen = side.arguments(__doc__)
    angles, values = sinogram()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sino.npy")
        np.save(path, values)
        least = lambda make, each=1: side.least_ms(make(), least=2) / each  # noqa: E731
        side.row("FBP", side.ours_ms(chosen.bin, "recon-fbp", path), [
            ("ASTRA", side.attempt("ASTRA", lambda: least(lambda: astra_job(angles, values, "FBP", 1, {"FilterType": "Ram-Lak"})))),
            ("scikit-image", side.attempt("scikit-image", lambda: least(lambda: radon_back(angles, values)))),
        ])
        ours = side.ours_ms(chosen.bin, "recon-sirt", path, "--iterations", PASSES, runs=3) / PASSES
        side.row("SIRT, a pass", ours, [
            ("ASTRA", side.attempt("ASTRA", lambda: least(lambda: astra_job(angles, values, "SIRT", PASSES), PASSES))),
        ])


if __name__ == "__main__":
    main()
