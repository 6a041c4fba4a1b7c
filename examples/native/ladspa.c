/* A LADSPA plugin, for Audacity, Ardour, Carla, PulseAudio, PipeWire's filter chain and other hosts, over a graph of
 * `deepnmf export model.onnx --rate-hz 48000 --attenuation-input`, whose path is in the variable DEEPNMF_GRAPH:
 *   gcc -O2 -shared -fPIC ladspa.c -L DIR -lonnxruntime -lm -o deepnmf_ladspa.so
 *   DEEPNMF_GRAPH=model.onnx applyplugin in.wav out.wav ./deepnmf_ladspa.so deepnmf 24
 * Mono, at the graph's rate. The latency, one window (25 ms), is an output port of that name, by which hosts align it. */
#include <ladspa.h>

#include "deepnmf.h"

enum { INPUT, OUTPUT, MAX_ATTENUATION_DB, LATENCY, PORTS };

typedef struct {
  Deepnmf stream;
  LADSPA_Data *ports[PORTS];
  LADSPA_Data *waiting, *ready; /* one hop each: samples that came, and those of the last hop that go out */
  size_t filled;
} Plugin;

static void cleanup(LADSPA_Handle handle) {
  Plugin *plugin = (Plugin *)handle;
  deepnmf_close(&plugin->stream);
  free(plugin->waiting);
  free(plugin->ready);
  free(plugin);
}

static LADSPA_Handle instantiate(const LADSPA_Descriptor *descriptor, unsigned long rate_hz) {
  const char *graph = getenv("DEEPNMF_GRAPH");
  Plugin *plugin = (Plugin *)calloc(1, sizeof *plugin);
  (void)descriptor;
  if (graph == NULL) {
    fprintf(stderr, "deepnmf: set DEEPNMF_GRAPH to a file of `deepnmf export`\n");
  } else if (plugin == NULL || !deepnmf_open(&plugin->stream, graph)) {
    fprintf(stderr, "deepnmf: %s: %s\n", graph, plugin ? plugin->stream.error : "not enough memory");
  } else if (rate_hz != 100 * plugin->stream.hop) { /* a hop lasts 10 ms */
    fprintf(stderr, "deepnmf: %s: a graph of %zu Hz; export it with --rate-hz %lu\n", graph, 100 * plugin->stream.hop, rate_hz);
  } else {
    plugin->waiting = (LADSPA_Data *)calloc(plugin->stream.hop, sizeof(LADSPA_Data));
    plugin->ready = (LADSPA_Data *)calloc(plugin->stream.hop, sizeof(LADSPA_Data));
    if (plugin->waiting && plugin->ready) return plugin;
  }
  if (plugin) cleanup(plugin);
  return NULL;
}

static void connect_port(LADSPA_Handle handle, unsigned long port, LADSPA_Data *data) {
  ((Plugin *)handle)->ports[port] = data;
}

static void run(LADSPA_Handle handle, unsigned long count) {
  Plugin *plugin = (Plugin *)handle;
  Deepnmf *stream = &plugin->stream;
  if (plugin->ports[LATENCY]) *plugin->ports[LATENCY] = (LADSPA_Data)(stream->hop + stream->delay);
  if (stream->limit_db && plugin->ports[MAX_ATTENUATION_DB]) {
    LADSPA_Data limit = *plugin->ports[MAX_ATTENUATION_DB];
    *stream->limit_db = limit >= 60 ? INFINITY : limit;
  }
  for (unsigned long at = 0; at < count; at++) {
    LADSPA_Data sample = plugin->ports[INPUT][at]; /* input and output may be one buffer */
    plugin->ports[OUTPUT][at] = plugin->ready[plugin->filled];
    plugin->waiting[plugin->filled++] = sample;
    if (plugin->filled < stream->hop) continue;
    plugin->filled = 0;
    if (!deepnmf_process(stream, plugin->waiting, plugin->ready)) memset(plugin->ready, 0, stream->hop * sizeof(LADSPA_Data));
  }
}

static const LADSPA_PortDescriptor port_kinds[PORTS] = {
    LADSPA_PORT_AUDIO | LADSPA_PORT_INPUT,
    LADSPA_PORT_AUDIO | LADSPA_PORT_OUTPUT,
    LADSPA_PORT_CONTROL | LADSPA_PORT_INPUT,
    LADSPA_PORT_CONTROL | LADSPA_PORT_OUTPUT,
};
static const char *const port_names[PORTS] = {"Input", "Output", "Maximum attenuation (dB, 60: no limit)", "latency"};
static const LADSPA_PortRangeHint port_hints[PORTS] = {
    {0, 0, 0},
    {0, 0, 0},
    {LADSPA_HINT_BOUNDED_BELOW | LADSPA_HINT_BOUNDED_ABOVE | LADSPA_HINT_DEFAULT_MAXIMUM, 0, 60},
    {0, 0, 0},
};
static const LADSPA_Descriptor descriptor = {
    .UniqueID = 999, /* of the range for development; hosts go by file and label */
    .Label = "deepnmf",
    .Properties = 0,
    .Name = "deepnmf speech enhancement",
    .Maker = "deepnmf",
    .Copyright = "MIT",
    .PortCount = PORTS,
    .PortDescriptors = port_kinds,
    .PortNames = port_names,
    .PortRangeHints = port_hints,
    .instantiate = instantiate,
    .connect_port = connect_port,
    .run = run,
    .cleanup = cleanup,
};

const LADSPA_Descriptor *ladspa_descriptor(unsigned long index) { return index == 0 ? &descriptor : NULL; }
