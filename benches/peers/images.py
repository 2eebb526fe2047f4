"""Decoding, the VOI window and thumbnails of DICOM images beside pydicom, GDCM, Pillow and DCMTK."""
import io
import os
import shutil
import tempfile
import warnings

import side

import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

warnings.filterwarnings("ignore")
SIDE = 256


def shown(data_set):
    """Grey levels as the image's own window says."""
    values = apply_voi_lut(apply_modality_lut(data_set.pixel_array, data_set), data_set).astype(float)
    low, high = values.min(), values.max()
    return ((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)


def thumbnail(raw):
    data_set = pydicom.dcmread(io.BytesIO(raw))
    picture = Image.fromarray(shown(data_set))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return picture


def gdcm_pixels(path):
    import gdcm
    reader = gdcm.ImageReader()
    reader.SetFileName(path)
    if not reader.Read():
        raise ValueError("cannot read")
    return len(reader.GetImage().GetBuffer())


def dcmtk(path, folder):
    tool = shutil.which("dcm2pnm") or shutil.which("dcmj2pnm")
    syntax = str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
    if syntax.startswith("1.2.840.10008.1.2.4.8"):
        tool = shutil.which("dcml2pnm")
    elif syntax.startswith("1.2.840.10008.1.2.4."):
        tool = shutil.which("dcmj2pnm")
    if not tool:
        raise FileNotFoundError("DCMTK")
    return side.child_ms([tool, "--write-16-bit-pnm", path, os.path.join(folder, "out.pnm")])


def main():
    chosen = side.arguments(__doc__, files={"nargs": "+", "help": "DICOM images"})
    for path in chosen.files:
        raw = open(path, "rb").read()
        head = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True)
        print(f"\n{os.path.basename(path)}: {head.Columns} x {head.Rows}, {head.file_meta.TransferSyntaxUID.name}")
        with tempfile.TemporaryDirectory() as folder:
            side.row("decode", side.ours_ms(chosen.bin, "image-decode", path), [
                ("pydicom", side.attempt("pydicom", lambda: side.least_ms(lambda: pydicom.dcmread(io.BytesIO(raw)).pixel_array))),
                ("GDCM", side.attempt("GDCM", lambda: side.least_ms(lambda: gdcm_pixels(path)))),
                ("DCMTK process", side.attempt("DCMTK", lambda: dcmtk(path, folder))),
            ])
            side.row("window", side.ours_ms(chosen.bin, "image-render", path), [
                ("pydicom", side.attempt("pydicom", lambda: side.least_ms(lambda: shown(pydicom.dcmread(io.BytesIO(raw)))))),
            ])
            side.row("thumbnail", side.ours_ms(chosen.bin, "image-thumbnail", path), [
                ("pydicom + Pillow", side.attempt("pydicom", lambda: side.least_ms(lambda: thumbnail(raw)))),
            ])


if __name__ == "__main__":
    main()
