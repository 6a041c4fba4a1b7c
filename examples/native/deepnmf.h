/* A stream through a graph of `deepnmf export`: one hop of samples in, one hop out. C99 and C++; link onnxruntime.
 *
 * All memory is reserved by deepnmf_open: states are tensors in two sets of buffers, read from one and written into the
 * other by turns. One stream is for one channel and one thread at a time. */
#ifndef DEEPNMF_H
#define DEEPNMF_H
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

enum { DEEPNMF_MOST_INPUTS = 32, DEEPNMF_MOST_DIMENSIONS = 8 };

typedef struct Deepnmf {
  const OrtApi *ort;
  OrtSession *session;
  size_t inputs, hop, delay; /* samples a call, and by how many the output is late */
  char names[DEEPNMF_MOST_INPUTS][64], next[DEEPNMF_MOST_INPUTS][64];
  size_t sizes[DEEPNMF_MOST_INPUTS];
  float *buffers[2][DEEPNMF_MOST_INPUTS];
  OrtValue *values[2][DEEPNMF_MOST_INPUTS];
  float *limit_db; /* NULL unless exported with --attenuation-input */
  int turn;
  char error[256];
} Deepnmf;

static int deepnmf_failed(Deepnmf *d, OrtStatus *status) {
  if (status != NULL) snprintf(d->error, sizeof d->error, "%s", d->ort->GetErrorMessage(status));
  return status != NULL;
}

static int deepnmf_is_state(const char *name) { return strcmp(name, "samples") && strcmp(name, "max_attenuation_db"); }

/* Reserve the buffers of one input, and of the output of the same shape. */
static int deepnmf_add_input(Deepnmf *d, size_t i, OrtAllocator *allocator, OrtMemoryInfo *memory) {
  const OrtApi *ort = d->ort;
  const OrtTensorTypeAndShapeInfo *info;
  OrtTypeInfo *type;
  char *name;
  size_t rank;
  int64_t shape[DEEPNMF_MOST_DIMENSIONS];
  if (deepnmf_failed(d, ort->SessionGetInputName(d->session, i, allocator, &name)) ||
      deepnmf_failed(d, ort->SessionGetInputTypeInfo(d->session, i, &type)))
    return 0;
  snprintf(d->names[i], sizeof d->names[i], "%s", name);
  snprintf(d->next[i], sizeof d->next[i], deepnmf_is_state(name) ? "%.50s_next" : "enhanced", name);
  if (deepnmf_failed(d, ort->CastTypeInfoToTensorInfo(type, &info)) ||
      deepnmf_failed(d, ort->GetDimensionsCount(info, &rank)) || rank > DEEPNMF_MOST_DIMENSIONS ||
      deepnmf_failed(d, ort->GetDimensions(info, shape, rank)))
    return 0;
  ort->ReleaseTypeInfo(type);
  d->sizes[i] = 1;
  for (size_t k = 0; k < rank; k++) d->sizes[i] *= (size_t)shape[k];
  for (int set = 0; set < 2; set++) {
    d->buffers[set][i] = (float *)calloc(d->sizes[i], sizeof(float));
    if (deepnmf_failed(d, ort->CreateTensorWithDataAsOrtValue(memory, d->buffers[set][i], d->sizes[i] * sizeof(float), shape,
                                                              rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &d->values[set][i])))
      return 0;
  }
  if (!strcmp(name, "samples")) d->hop = d->sizes[i];
  if (!strcmp(name, "analysis")) d->delay = d->sizes[i];
  if (!strcmp(name, "max_attenuation_db")) *(d->limit_db = d->buffers[0][i]) = INFINITY;
  return 1;
}

static void deepnmf_close(Deepnmf *d) {
  for (size_t i = 0; i < d->inputs; i++)
    for (int set = 0; set < 2; set++) {
      if (d->values[set][i]) d->ort->ReleaseValue(d->values[set][i]);
      free(d->buffers[set][i]);
    }
  if (d->session) d->ort->ReleaseSession(d->session);
  d->inputs = 0, d->session = NULL;
}

/* Load a graph; return 1, or 0 with the reason in d->error. */
static int deepnmf_open(Deepnmf *d, const char *path) {
  static OrtEnv *env; /* one for the process */
  OrtSessionOptions *options = NULL;
  OrtAllocator *allocator;
  OrtMemoryInfo *memory = NULL;
  size_t inputs = 0;
  memset(d, 0, sizeof *d);
  d->ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  int ok = d->ort != NULL && (env || !deepnmf_failed(d, d->ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "deepnmf", &env))) &&
           !deepnmf_failed(d, d->ort->CreateSessionOptions(&options)) &&
           !deepnmf_failed(d, d->ort->SetIntraOpNumThreads(options, 1)) &&
           !deepnmf_failed(d, d->ort->CreateSession(env, path, options, &d->session)) &&
           !deepnmf_failed(d, d->ort->SessionGetInputCount(d->session, &inputs)) && inputs <= DEEPNMF_MOST_INPUTS &&
           !deepnmf_failed(d, d->ort->GetAllocatorWithDefaultOptions(&allocator)) &&
           !deepnmf_failed(d, d->ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  for (; ok && d->inputs < inputs; d->inputs++) ok = deepnmf_add_input(d, d->inputs, allocator, memory);
  ok = ok && d->hop && d->delay;
  if (memory) d->ort->ReleaseMemoryInfo(memory);
  if (options) d->ort->ReleaseSessionOptions(options);
  if (!ok && d->session) deepnmf_close(d);
  return ok;
}

/* Enhance d->hop samples; `output` may be `samples`. */
static int deepnmf_process(Deepnmf *d, const float *samples, float *output) {
  const char *inputs[DEEPNMF_MOST_INPUTS], *outputs[DEEPNMF_MOST_INPUTS];
  const OrtValue *in[DEEPNMF_MOST_INPUTS];
  OrtValue *out[DEEPNMF_MOST_INPUTS];
  size_t count = 0;
  memcpy(d->buffers[0][0], samples, d->hop * sizeof(float)); /* samples are the first input, enhanced the first output */
  for (size_t i = 0; i < d->inputs; i++) {
    int is_state = deepnmf_is_state(d->names[i]);
    inputs[i] = d->names[i];
    in[i] = d->values[is_state ? d->turn : 0][i];
    if (!is_state && i) continue;
    outputs[count] = d->next[i];
    out[count++] = d->values[is_state ? 1 - d->turn : 1][i];
  }
  if (deepnmf_failed(d, d->ort->Run(d->session, NULL, inputs, in, d->inputs, outputs, count, out))) return 0;
  memcpy(output, d->buffers[1][0], d->hop * sizeof(float));
  d->turn = 1 - d->turn;
  return 1;
}

/* After some hops of a recording: forget its samples and frames, keep its level and the states of the network. The names
 * are those in cleared_after_warm_up of the graph's metadata; past_frames is only in graphs with a filter. */
static inline void deepnmf_end_warm_up(Deepnmf *d) {
  for (size_t i = 0; i < d->inputs; i++)
    if (!strcmp(d->names[i], "analysis") || !strcmp(d->names[i], "synthesis") || !strcmp(d->names[i], "past_frames"))
      memset(d->buffers[d->turn][i], 0, d->sizes[i] * sizeof(float));
}
#endif
