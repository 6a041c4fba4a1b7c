//! Enhance raw float32 samples of one channel at the graph's rate, as `deepnmf enhance` does a file. The standard
//! library alone, over ONNX Runtime's C interface; a project would use the crate `ort` in the same way.
//!   rustc --edition 2021 -O enhance.rs -L DIR -l onnxruntime && ./enhance model.onnx in.f32 out.f32 [MAX_ATTENUATION_DB]
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_void};
use std::{env, fs, mem, process, ptr};

type Ptr = *mut c_void; // an object of ONNX Runtime
type Status = Ptr;
type Api = [*const c_void; 101]; // functions at fixed places: see onnxruntime_c_api.h beside this file
const WARM_UP_HOPS: usize = 300; // 3 s: warm_up_hops of the graph's metadata
const OF_AUDIO: [&str; 3] = ["analysis", "synthesis", "past_frames"]; // its cleared_after_warm_up; the last, with a filter

#[repr(C)]
struct ApiBase {
    get_api: unsafe extern "C" fn(u32) -> *const Api,
}
extern "C" {
    fn OrtGetApiBase() -> *const ApiBase;
}

/// Call function number $index of the table with arguments of the given types; end with its message if it fails.
macro_rules! ort {
    ($api:expr, $index:expr, $($value:expr => $type:ty),+) => {{
        let function: unsafe extern "C" fn($($type),+) -> Status = mem::transmute((*$api)[$index]);
        let status = function($($value),+);
        if !status.is_null() {
            let message: unsafe extern "C" fn(Status) -> *const c_char = mem::transmute((*$api)[2]);
            fail(&CStr::from_ptr(message(status)).to_string_lossy());
        }
    }};
}

fn fail(message: &str) -> ! {
    eprintln!("enhance: {message}");
    process::exit(1)
}

/// An input and the output of its shape: two buffers, read and written by turns if it is a state.
struct Tensor {
    name: CString,
    next: CString,
    is_state: bool,
    buffers: [Vec<f32>; 2],
    values: [Ptr; 2],
}

struct Stream {
    api: *const Api,
    session: Ptr,
    tensors: Vec<Tensor>, // samples and enhanced are the first
    turn: usize,
}

impl Stream {
    unsafe fn open(path: &str) -> Stream {
        let api = ((*OrtGetApiBase()).get_api)(17);
        let (mut env, mut options, mut session) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let (mut allocator, mut memory, mut count) = (ptr::null_mut(), ptr::null_mut(), 0usize);
        let (path, log) = (CString::new(path).unwrap(), CString::new("deepnmf").unwrap());
        ort!(api, 3, 3 => c_int, log.as_ptr() => *const c_char, &mut env => *mut Ptr); // CreateEnv
        ort!(api, 10, &mut options => *mut Ptr); // CreateSessionOptions
        ort!(api, 24, options => Ptr, 1 => c_int); // SetIntraOpNumThreads
        ort!(api, 7, env => Ptr, path.as_ptr() => *const c_char, options => Ptr, &mut session => *mut Ptr); // CreateSession
        ort!(api, 30, session => Ptr, &mut count => *mut usize); // SessionGetInputCount
        ort!(api, 78, &mut allocator => *mut Ptr); // GetAllocatorWithDefaultOptions
        ort!(api, 69, 1 => c_int, 0 => c_int, &mut memory => *mut Ptr); // CreateCpuMemoryInfo
        let tensors = (0..count).map(|index| Stream::tensor(api, session, allocator, memory, index)).collect();
        Stream { api, session, tensors, turn: 0 }
    }

    unsafe fn tensor(api: *const Api, session: Ptr, allocator: Ptr, memory: Ptr, index: usize) -> Tensor {
        let (mut name, mut kind, mut info, mut rank) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0usize);
        ort!(api, 36, session => Ptr, index => usize, allocator => Ptr, &mut name => *mut *mut c_char); // SessionGetInputName
        ort!(api, 33, session => Ptr, index => usize, &mut kind => *mut Ptr); // SessionGetInputTypeInfo
        ort!(api, 55, kind => Ptr, &mut info => *mut Ptr); // CastTypeInfoToTensorInfo
        ort!(api, 61, info => Ptr, &mut rank => *mut usize); // GetDimensionsCount
        let mut shape = vec![0i64; rank];
        ort!(api, 62, info => Ptr, shape.as_mut_ptr() => *mut i64, rank => usize); // GetDimensions
        let size = shape.iter().product::<i64>() as usize;
        let name = CStr::from_ptr(name).to_owned();
        let is_state = !matches!(name.to_str(), Ok("samples" | "max_attenuation_db"));
        let next = if is_state { format!("{}_next", name.to_str().unwrap()) } else { "enhanced".into() };
        let mut buffers = [vec![0f32; size], vec![0f32; size]];
        let mut values = [ptr::null_mut(); 2];
        for (buffer, value) in buffers.iter_mut().zip(values.iter_mut()) {
            ort!(api, 49, memory => Ptr, buffer.as_mut_ptr() => *mut f32, 4 * size => usize, // CreateTensorWithDataAsOrtValue
                 shape.as_ptr() => *const i64, rank => usize, 1 => c_int, value => *mut Ptr);
        }
        Tensor { name, next: CString::new(next).unwrap(), is_state, buffers, values }
    }

    /// Enhance one hop; the output is late by the size of `analysis`.
    unsafe fn process(&mut self, samples: &[f32]) -> &[f32] {
        self.tensors[0].buffers[0].copy_from_slice(samples);
        let turn = self.turn;
        let inputs: Vec<_> = self.tensors.iter().map(|t| t.name.as_ptr()).collect();
        let values: Vec<_> = self.tensors.iter().map(|t| t.values[if t.is_state { turn } else { 0 }]).collect();
        let written = || self.tensors.iter().enumerate().filter(|(index, t)| *index == 0 || t.is_state).map(|(_, t)| t);
        let outputs: Vec<_> = written().map(|t| t.next.as_ptr()).collect();
        let mut results: Vec<_> = written().map(|t| t.values[if t.is_state { 1 - turn } else { 1 }]).collect();
        ort!(self.api, 9, self.session => Ptr, ptr::null_mut() => Ptr, // Run
             inputs.as_ptr() => *const *const c_char, values.as_ptr() => *const Ptr, inputs.len() => usize,
             outputs.as_ptr() => *const *const c_char, outputs.len() => usize, results.as_mut_ptr() => *mut Ptr);
        self.turn = 1 - turn;
        &self.tensors[0].buffers[1]
    }

    fn buffer(&mut self, name: &str) -> Option<&mut Vec<f32>> {
        let turn = self.turn;
        let found = self.tensors.iter_mut().find(|t| t.name.to_str() == Ok(name))?;
        Some(&mut found.buffers[if found.is_state { turn } else { 0 }])
    }
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let (model, input, output, limit) = match &arguments[..] {
        [_, model, input, output, limit @ ..] => (model, input, output, limit),
        _ => fail("usage: enhance model.onnx in.f32 out.f32 [max_attenuation_db]"),
    };
    let bytes = fs::read(input).unwrap_or_else(|error| fail(&format!("{input}: {error}")));
    let mut samples: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let mut enhanced = Vec::new();
    unsafe {
        let mut stream = Stream::open(model);
        if let Some(buffer) = stream.buffer("max_attenuation_db") {
            buffer[0] = limit.first().map_or(f32::INFINITY, |text| text.parse().unwrap_or_else(|_| fail("no number of dB")));
        }
        let (length, hop) = (samples.len(), stream.tensors[0].buffers[0].len());
        let delay = stream.buffer("analysis").map_or(0, |state| state.len());
        for block in samples.chunks_exact(hop).take(WARM_UP_HOPS) {
            stream.process(block);
        }
        for name in OF_AUDIO {
            if let Some(state) = stream.buffer(name) {
                state.fill(0.0); // level and states of the network are kept
            }
        }
        samples.resize((length + delay + hop - 1) / hop * hop, 0.0); // zeros at the end flush the delay
        for block in samples.chunks_exact(hop) {
            enhanced.extend_from_slice(stream.process(block));
        }
        enhanced = enhanced[delay..delay + length].to_vec();
    }
    let bytes: Vec<u8> = enhanced.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    fs::write(output, bytes).unwrap_or_else(|error| fail(&format!("{output}: {error}")));
}
