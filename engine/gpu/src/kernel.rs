//! Buffers and compute passes, with every failure of the device as an error.

use crate::{Gpu, GpuError};
use wgpu::BufferUsages;

/// One entry point of a shader.
pub(crate) type Kernel = wgpu::ComputePipeline;

impl Gpu {
    /// Compiles `entry` of a WGSL source; what it binds follows from the source.
    pub(crate) fn kernel(&self, source: &'static str, entry: &str) -> Kernel {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(entry),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        self.device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: Default::default(),
                cache: None,
            })
    }

    /// A block of parameters.
    pub(crate) fn uniform<T: bytemuck::Pod>(&self, value: &T) -> wgpu::Buffer {
        self.filled(bytemuck::bytes_of(value), BufferUsages::UNIFORM)
    }

    /// Values on the device, which a kernel may also write.
    pub(crate) fn storage<T: bytemuck::Pod>(&self, values: &[T]) -> Result<wgpu::Buffer, GpuError> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.check_size(bytes.len() as u64)?;
        Ok(self.filled(bytes, BufferUsages::STORAGE | BufferUsages::COPY_SRC))
    }

    /// `count` zeros of 32 bits on the device.
    pub(crate) fn zeros(&self, count: usize) -> Result<wgpu::Buffer, GpuError> {
        let size = count as u64 * 4;
        self.check_size(size)?;
        Ok(self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        }))
    }

    /// A buffer that cannot be filled, because the device is lost or has no memory left, stays empty: the device then
    /// reports an error, which comes out with the next result.
    fn filled(&self, contents: &[u8], usage: BufferUsages) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: (contents.len() as u64)
                .next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT)
                .max(wgpu::COPY_BUFFER_ALIGNMENT),
            usage,
            mapped_at_creation: true,
        });
        if let Ok(mut mapped) = buffer.get_mapped_range_mut(..) {
            mapped.slice(..contents.len()).copy_from_slice(contents);
            drop(mapped);
            buffer.unmap();
        }
        buffer
    }

    /// Submits one pass over `groups` workgroups with buffers at their binding numbers. Passes run in the order of
    /// their submission.
    pub(crate) fn pass(&self, kernel: &Kernel, buffers: &[(u32, &wgpu::Buffer)], groups: [u32; 2]) {
        let entries: Vec<_> = buffers
            .iter()
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding: *binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &kernel.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(kernel);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(groups[0], groups[1], 1);
        }
        self.queue.submit([encoder.finish()]);
    }

    /// Waits for all passes and reads `buffer`.
    pub(crate) fn download(&self, buffer: &wgpu::Buffer) -> Result<Vec<f32>, GpuError> {
        Ok(bytemuck::pod_collect_to_vec(&self.download_bytes(buffer)?))
    }

    /// The same as it lies in memory.
    pub(crate) fn download_bytes(&self, buffer: &wgpu::Buffer) -> Result<Vec<u8>, GpuError> {
        let size = buffer.size();
        let back = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &back, 0, size);
        self.queue.submit([encoder.finish()]);
        self.read_back(&back)
    }
}
