/* A stand-in for ONNX Runtime's own onnxruntime_c_api.h, which its Python wheel lacks: the functions used here, at their
 * places in the table of functions, whose order does not change between versions. Replace it by the original, which is
 * in the archives of https://github.com/microsoft/onnxruntime/releases, and everything compiles unchanged. */
#ifndef ONNXRUNTIME_C_API_STAND_IN
#define ONNXRUNTIME_C_API_STAND_IN
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define ORT_API_VERSION 17
typedef struct OrtEnv OrtEnv;
typedef struct OrtStatus OrtStatus;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtAllocator OrtAllocator;
typedef enum { ORT_LOGGING_LEVEL_ERROR = 3 } OrtLoggingLevel;
typedef enum { ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1 } ONNXTensorElementDataType;
typedef enum { OrtArenaAllocator = 1 } OrtAllocatorType;
typedef enum { OrtMemTypeDefault = 0 } OrtMemType;

typedef struct OrtApi {
  void *unused_0[2];
  const char *(*GetErrorMessage)(const OrtStatus *);                                         /* 2 */
  OrtStatus *(*CreateEnv)(OrtLoggingLevel, const char *, OrtEnv **);                         /* 3 */
  void *unused_4[3];
  OrtStatus *(*CreateSession)(const OrtEnv *, const char *, const OrtSessionOptions *, OrtSession **); /* 7; wchar_t on Windows */
  void *unused_8;
  OrtStatus *(*Run)(OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t,
                    const char *const *, size_t, OrtValue **);                               /* 9 */
  OrtStatus *(*CreateSessionOptions)(OrtSessionOptions **);                                  /* 10 */
  void *unused_11[13];
  OrtStatus *(*SetIntraOpNumThreads)(OrtSessionOptions *, int);                              /* 24 */
  void *unused_25[5];
  OrtStatus *(*SessionGetInputCount)(const OrtSession *, size_t *);                          /* 30 */
  void *unused_31[2];
  OrtStatus *(*SessionGetInputTypeInfo)(const OrtSession *, size_t, OrtTypeInfo **);         /* 33 */
  void *unused_34[2];
  OrtStatus *(*SessionGetInputName)(const OrtSession *, size_t, OrtAllocator *, char **);    /* 36 */
  void *unused_37[12];
  OrtStatus *(*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t,
                                               ONNXTensorElementDataType, OrtValue **);      /* 49 */
  void *unused_50[5];
  OrtStatus *(*CastTypeInfoToTensorInfo)(const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **); /* 55 */
  void *unused_56[5];
  OrtStatus *(*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *, size_t *);             /* 61 */
  OrtStatus *(*GetDimensions)(const OrtTensorTypeAndShapeInfo *, int64_t *, size_t);         /* 62 */
  void *unused_63[6];
  OrtStatus *(*CreateCpuMemoryInfo)(OrtAllocatorType, OrtMemType, OrtMemoryInfo **);         /* 69 */
  void *unused_70[8];
  OrtStatus *(*GetAllocatorWithDefaultOptions)(OrtAllocator **);                             /* 78 */
  void *unused_79[15];
  void (*ReleaseMemoryInfo)(OrtMemoryInfo *);                                                /* 94 */
  void (*ReleaseSession)(OrtSession *);                                                      /* 95 */
  void (*ReleaseValue)(OrtValue *);                                                          /* 96 */
  void *unused_97;
  void (*ReleaseTypeInfo)(OrtTypeInfo *);                                                    /* 98 */
  void *unused_99;
  void (*ReleaseSessionOptions)(OrtSessionOptions *);                                        /* 100 */
} OrtApi;

typedef struct OrtApiBase {
  const OrtApi *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} OrtApiBase;
const OrtApiBase *OrtGetApiBase(void);

#ifdef __cplusplus
}
#endif
#endif
