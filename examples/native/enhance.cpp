// Enhance raw float32 samples of one channel at the graph's rate, as `deepnmf enhance` does a file:
//   g++ -O2 enhance.cpp -L DIR -lonnxruntime -o enhance && ./enhance model.onnx in.f32 out.f32 [MAX_ATTENUATION_DB]
#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "deepnmf.h"

constexpr size_t warm_up_hops = 300;  // 3 s: warm_up_hops of the graph's metadata

static std::vector<float> read(const char *path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::vector<float> samples(file ? static_cast<size_t>(file.tellg()) / sizeof(float) : 0);
  file.seekg(0).read(reinterpret_cast<char *>(samples.data()), samples.size() * sizeof(float));
  return samples;
}

int main(int count, char **arguments) {
  if (count < 4) return std::cerr << "usage: enhance model.onnx in.f32 out.f32 [max_attenuation_db]\n", 1;
  Deepnmf stream;
  if (!deepnmf_open(&stream, arguments[1])) return std::cerr << arguments[1] << ": " << stream.error << "\n", 1;
  if (count > 4 && stream.limit_db) *stream.limit_db = std::stof(arguments[4]);

  std::vector<float> samples = read(arguments[2]);
  if (samples.empty()) return std::cerr << arguments[2] << ": no samples\n", 1;
  const size_t hop = stream.hop, length = samples.size();
  const size_t hops = (length + stream.delay + hop - 1) / hop;  // zeros at the end flush the delay
  std::vector<float> output(hops * hop);
  for (size_t at = 0; at < std::min(warm_up_hops, length / hop); at++)
    if (!deepnmf_process(&stream, &samples[at * hop], output.data())) return std::cerr << stream.error << "\n", 1;
  deepnmf_end_warm_up(&stream);
  samples.resize(hops * hop);
  for (size_t at = 0; at < hops; at++)
    if (!deepnmf_process(&stream, &samples[at * hop], &output[at * hop])) return std::cerr << stream.error << "\n", 1;
  deepnmf_close(&stream);

  std::ofstream file(arguments[3], std::ios::binary);
  file.write(reinterpret_cast<char *>(&output[stream.delay]), length * sizeof(float));
  return file.flush() ? 0 : (std::cerr << arguments[3] << ": cannot write\n", 1);
}
