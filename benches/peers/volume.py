"""Planes, a slab and a projection of 512 x 512 x 400 voxels beside VTK and SimpleITK."""
import os
import tempfile

import side

import numpy as np

SHAPE, SPACING = (400, 512, 512), (0.7, 0.7, 1.0)       # z, y, x; and x, y, z in mm
SLAB_MM, SAMPLES = 20, 30
TURN = np.array([[0.79, -0.34, 0.51], [0.51, 0.83, -0.23], [-0.34, 0.44, 0.83]])


def phantom():
    """A textured body with a bright shell and rods, in air."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:SHAPE[1], :SHAPE[2]].astype(np.float32)
    base = np.sin(x / 17) * np.cos(y / 13)
    volume = np.empty(SHAPE, np.int16)
    for k in range(SHAPE[0]):
        r = np.sqrt(((x - 256) / 235) ** 2 + ((y - 256) / 180) ** 2 + ((k - 200) / 220) ** 2)
        slice_ = 40 + 150 * base * np.sin(k / 15) + 700 * np.exp(-((r - 0.8) / 0.03) ** 2)
        for cx, cy, radius, value in ((220, 230, 9, 900), (300, 260, 14, 1300), (256, 330, 6, 600)):
            slice_[(x - cx - 0.1 * k) ** 2 + (y - cy) ** 2 < radius**2] = value
        slice_ += rng.integers(-30, 31, slice_.shape)
        slice_[r >= 1] = -1000
        volume[k] = slice_
    return volume


def rotation():
    q, _ = np.linalg.qr(TURN)
    return q * np.sign(np.linalg.det(q))


def text(values):
    return ",".join(f"{v:.9g}" for v in values)


class Vtk:
    def __init__(self, volume):
        import vtk
        from vtkmodules.util import numpy_support
        self.vtk = vtk
        self.data = vtk.vtkImageData()
        self.data.SetDimensions(*SHAPE[::-1])
        self.data.SetSpacing(*SPACING)
        self.data.GetPointData().SetScalars(numpy_support.numpy_to_vtk(volume.ravel(), deep=False))

    def reslice(self, axes, origin, size, pixel, samples=1):
        reslice = self.vtk.vtkImageReslice()
        reslice.SetInputData(self.data)
        reslice.SetNumberOfThreads(1)
        reslice.SetOutputDimensionality(2)
        matrix = self.vtk.vtkMatrix4x4()
        for i in range(3):
            for j in range(3):
                matrix.SetElement(i, j, axes[i, j])
            matrix.SetElement(i, 3, origin[i])
        reslice.SetResliceAxes(matrix)
        reslice.SetOutputSpacing(*pixel, SLAB_MM / (SAMPLES - 1))
        reslice.SetOutputExtent(0, size[0] - 1, 0, size[1] - 1, 0, 0)
        reslice.SetOutputOrigin(0, 0, 0)
        reslice.SetInterpolationModeToLinear()
        if samples > 1:
            reslice.SetSlabModeToMax()
            reslice.SetSlabNumberOfSlices(samples)

        def work():
            reslice.Modified()
            reslice.Update()
        return work

    def projection(self):
        vtk = self.vtk
        mapper = vtk.vtkFixedPointVolumeRayCastMapper()
        mapper.SetInputData(self.data)
        mapper.SetNumberOfThreads(1)
        mapper.SetAutoAdjustSampleDistances(0)
        mapper.LockSampleDistanceToInputSpacingOff()
        mapper.SetSampleDistance(0.7)
        mapper.SetInteractiveSampleDistance(0.7)
        mapper.SetImageSampleDistance(1.0)
        mapper.SetBlendModeToMaximumIntensity()
        opacity = vtk.vtkPiecewiseFunction()
        opacity.AddPoint(-1000, 0)
        opacity.AddPoint(1400, 1)
        look = vtk.vtkVolumeProperty()
        look.SetScalarOpacity(opacity)
        look.SetInterpolationTypeToLinear()
        actor = vtk.vtkVolume()
        actor.SetMapper(mapper)
        actor.SetProperty(look)
        renderer = vtk.vtkRenderer()
        renderer.AddVolume(actor)
        window = vtk.vtkRenderWindow()
        window.SetOffScreenRendering(1)
        window.SetSize(512, 512)
        window.AddRenderer(renderer)
        renderer.ResetCamera()
        camera = renderer.GetActiveCamera()
        camera.SetParallelProjection(1)
        camera.Elevation(20)
        camera.SetParallelScale(SHAPE[0] * SPACING[2] / 2 * 1.1)

        def work():
            camera.Azimuth(1)
            renderer.ResetCameraClippingRange()
            window.Render()
            window.WaitForCompletion()
        return work


def itk(volume, axes, origin, size, pixel, samples=1):
    import SimpleITK
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    image = SimpleITK.GetImageFromArray(volume)
    image.SetSpacing(SPACING)
    step = SLAB_MM / (SAMPLES - 1)

    def work():
        cut = SimpleITK.ResampleImageFilter()
        cut.SetSize((*size, samples))
        cut.SetOutputSpacing((*pixel, step))
        cut.SetOutputDirection(axes.ravel().tolist())
        cut.SetOutputOrigin((origin - axes[:, 2] * step * (samples - 1) / 2).tolist())
        cut.SetInterpolator(SimpleITK.sitkLinear)
        made = cut.Execute(image)
        return SimpleITK.MaximumProjection(made, 2) if samples > 1 else made
    return work


def main():
    chosen = side.arguments(__doc__)
    volume = phantom()
    axes = rotation()
    centre = (np.array(SHAPE[::-1]) - 1) * SPACING / 2
    origin = centre - (axes[:, 0] + axes[:, 1]) * 0.7 * 255.5
    upright = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], float)
    sagittal = np.array([256 * 0.7, 0, 0])
    plane = [f"--origin={text(origin)}", f"--row={text(axes[:, 0])}", f"--col={text(axes[:, 1])}", "--size=512,512", "--pixel=0.7"]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "volume.npy")
        np.save(path, volume)
        common = [path, f"--spacing={text(SPACING[::-1])}"]
        peer = side.attempt("VTK", lambda: Vtk(volume))

        def cut(what, kernel, options, *job):
            vtk = peer and side.attempt("VTK", lambda: side.least_ms(peer.reslice(*job)))
            other = side.attempt("SimpleITK", lambda: side.least_ms(itk(volume, *job)))
            side.row(what, side.ours_ms(chosen.bin, kernel, *common, *options, runs=4), [("VTK", vtk), ("SimpleITK", other)])
        cut("oblique plane", "volume-mpr", plane, axes, origin, (512, 512), (0.7, 0.7))
        cut("sagittal plane", "volume-mpr", ["--plane=sagittal", "--index=256"], upright, sagittal, (512, 400), (0.7, 1.0))
        cut("slab of 20 mm, greatest", "volume-slab", [*plane, "--slab=20", "--mode=mip"], axes, origin, (512, 512), (0.7, 0.7), SAMPLES)
        vtk = peer and side.attempt("VTK", lambda: side.least_ms(peer.projection(), least=2))
        view = ["--mode=mip", "--view=25,20", "--size=512,512"]
        side.row("projection, greatest", side.ours_ms(chosen.bin, "volume-project", *common, *view, runs=3), [("VTK", vtk)])


if __name__ == "__main__":
    main()
