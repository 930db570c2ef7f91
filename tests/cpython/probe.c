// What a greenlet's C stack is just before it is left: the oracle for native frames of CPython greenlets.
//
// A CPython extension, built once against the limited API and loaded by every CPython from 3.8 on. It knows
// nothing of Coppice: frames come from the C runtime's own unwinder (_Unwind_Backtrace), the end of a
// greenlet's stack from the first steps it takes, while the frames of whoever started it still lie above.
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03080000
#include <Python.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <unwind.h>

enum { max_frames = 512 };

typedef struct {
  uintptr_t pc, sp;  // sp as in that frame: _Unwind_GetCFA is the CFA of the frame it called
} Frame;

typedef struct {
  Frame frames[max_frames];
  int count;
  uintptr_t last_sp;  // of the outermost frame that is the greenlet's own; 0: follow to the end of the thread
  uintptr_t limit;    // stop before the first frame above; 0: none
} Trace;

static _Unwind_Reason_Code take(struct _Unwind_Context* context, void* argument) {
  Trace* trace = argument;
  const Frame frame = {_Unwind_GetIP(context), _Unwind_GetCFA(context)};
  if (frame.pc == 0 || trace->count == max_frames) return _URC_END_OF_STACK;
  trace->frames[trace->count++] = frame;
  // What lies above a greenlet's last frame may be another greenlet's: never step there.
  if (trace->last_sp != 0 && frame.sp >= trace->last_sp) return _URC_END_OF_STACK;
  if (trace->limit != 0 && frame.sp > trace->limit) return _URC_END_OF_STACK;
  return _URC_NO_REASON;
}

static PyObject* list_of(const Trace* trace) {
  PyObject* list = PyList_New(0);
  for (int i = 0; list != NULL && i < trace->count; ++i) {
    PyObject* pair = Py_BuildValue("(KK)", (unsigned long long)trace->frames[i].pc,
                                   (unsigned long long)trace->frames[i].sp);
    if (pair == NULL || PyList_Append(list, pair) != 0) Py_CLEAR(list);
    Py_XDECREF(pair);
  }
  return list;
}

// A recorder is called with the frames as a list of (pc, sp), innermost first. False: it raised.
static bool report(const Trace* trace, PyObject* recorder) {
  PyObject* list = list_of(trace);
  PyObject* result = list != NULL ? PyObject_CallFunctionObjArgs(recorder, list, NULL) : NULL;
  Py_XDECREF(list);
  Py_XDECREF(result);
  return result != NULL;
}

// base(greenlet, basicsize of its first base class) -> sp of the outermost frame of that greenlet.
// To be called by the greenlet itself before anything else. The bound of its stack is looked for in its
// fields, with no layout known but that two words follow, its copy and the size of that, which are 0 so far:
// it is the lowest such address above this frame (addresses of the heap may follow those of the stack).
static PyObject* probe_base(PyObject* self, PyObject* arguments) {
  (void)self;
  PyObject* greenlet = NULL;
  Py_ssize_t basicsize = 0;
  if (!PyArg_ParseTuple(arguments, "On", &greenlet, &basicsize)) return NULL;
  // greenlet 2.0 and newer: the fields are behind a pointer, the last word of the object.
  const bool behind_pointer = basicsize == 40;
  const uintptr_t* words = behind_pointer ? ((uintptr_t**)greenlet)[4] : (uintptr_t*)greenlet + 2;
  const int size = behind_pointer ? 16 : 10;
  const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  uintptr_t stop = 0;
  for (int i = 0; i + 2 < size; ++i) {
    const bool here_or_above = words[i] > here && words[i] - here < (1u << 20);
    if (here_or_above && words[i + 1] == 0 && words[i + 2] == 0 && (stop == 0 || words[i] < stop))
      stop = words[i];
  }
  if (stop == 0) return PyErr_Format(PyExc_RuntimeError, "no bound of the stack of this greenlet was found");
  Trace trace = {.limit = stop};
  _Unwind_Backtrace(take, &trace);
  // Its own frames are those whose CFA, the sp of their caller, is not above its stop.
  for (int i = trace.count - 1; i > 0; --i)
    if (trace.frames[i].sp <= stop && i + 1 < trace.count)
      return PyLong_FromUnsignedLongLong(trace.frames[i - 1].sp);
  return PyErr_Format(PyExc_RuntimeError, "this greenlet has no outermost frame");
}

// leave(last_sp, recorder, function, argument...) -> function(argument...)
// The frames recorded are those that are there during the call, from this function outwards.
static PyObject* probe_leave(PyObject* self, PyObject* arguments) {
  (void)self;
  const Py_ssize_t size = PyTuple_Size(arguments);
  if (size < 3) return PyErr_Format(PyExc_TypeError, "leave(last_sp, recorder, function, argument...)");
  Trace trace = {.last_sp = PyLong_AsUnsignedLongLong(PyTuple_GetItem(arguments, 0))};
  if (PyErr_Occurred()) return NULL;
  _Unwind_Backtrace(take, &trace);
  if (!report(&trace, PyTuple_GetItem(arguments, 1))) return NULL;
  PyObject* rest = PyTuple_GetSlice(arguments, 3, size);
  PyObject* result = rest != NULL ? PyObject_Call(PyTuple_GetItem(arguments, 2), rest, NULL) : NULL;
  Py_XDECREF(rest);
  return result;
}

// note(last_sp, recorder): the frames as they are now, from this function outwards.
static PyObject* probe_note(PyObject* self, PyObject* arguments) {
  (void)self;
  unsigned long long last_sp = 0;
  PyObject* recorder = NULL;
  if (!PyArg_ParseTuple(arguments, "KO", &last_sp, &recorder)) return NULL;
  Trace trace = {.last_sp = last_sp};
  _Unwind_Backtrace(take, &trace);
  if (!report(&trace, recorder)) return NULL;
  Py_RETURN_NONE;
}

// block(last_sp, recorder, fd): records, then waits without the GIL until fd can be read.
static PyObject* probe_block(PyObject* self, PyObject* arguments) {
  (void)self;
  unsigned long long last_sp = 0;
  PyObject* recorder = NULL;
  int fd = -1;
  if (!PyArg_ParseTuple(arguments, "KOi", &last_sp, &recorder, &fd)) return NULL;
  Trace trace = {.last_sp = last_sp};
  _Unwind_Backtrace(take, &trace);
  if (!report(&trace, recorder)) return NULL;
  struct pollfd waited = {.fd = fd, .events = POLLIN};
  PyThreadState* thread = PyEval_SaveThread();
  while (poll(&waited, 1, -1) < 0) continue;
  PyEval_RestoreThread(thread);
  Py_RETURN_NONE;
}

// call(function, argument...) -> function(argument...): a C frame between two Python frames.
static PyObject* probe_call(PyObject* self, PyObject* arguments) {
  (void)self;
  PyObject* rest = PyTuple_GetSlice(arguments, 1, PyTuple_Size(arguments));
  PyObject* result = rest != NULL ? PyObject_Call(PyTuple_GetItem(arguments, 0), rest, NULL) : NULL;
  Py_XDECREF(rest);
  return result;
}

static PyMethodDef methods[] = {
    {"base", probe_base, METH_VARARGS, NULL}, {"leave", probe_leave, METH_VARARGS, NULL},
    {"note", probe_note, METH_VARARGS, NULL}, {"block", probe_block, METH_VARARGS, NULL},
    {"call", probe_call, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "probe", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_probe(void) {
  return PyModule_Create(&module);
}
