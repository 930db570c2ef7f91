// A program that is no python: it has CPython as a library, with two interpreters, each on a thread of its
// own.
//
//     embedded SCRIPT ARGUMENT...
//
// Both run the script. The second's output goes to a pipe and from there to second.json, before the first one
// begins.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static PyInterpreterState* first;
static char** arguments;
static int count;

static void run(int output) {
  PyObject* list = PyList_New(0);
  for (int i = 1; i < count; ++i) PyList_Append(list, PyUnicode_DecodeFSDefault(arguments[i]));
  PyList_Append(list, PyUnicode_FromString("--output"));
  PyList_Append(list, PyUnicode_FromFormat("%d", output));
  PySys_SetObject("argv", list);
  if (PyRun_SimpleString("import runpy, sys; runpy.run_path(sys.argv[0], run_name='__main__')") != 0)
    _exit(1);
}

static void* run_second(void* output) {
  PyThreadState* thread = PyThreadState_New(first);
  PyEval_RestoreThread(thread);
  if (Py_NewInterpreter() == NULL) _exit(1);
  run(*(int*)output);
  return NULL;
}

int main(int argc, char** argv) {
  count = argc;
  arguments = argv;
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  PyConfig_SetString(&config, &config.program_name, L"/usr/bin/python3");  // whose modules it uses
  if (PyStatus_Exception(Py_InitializeFromConfig(&config))) return 1;
  first = PyInterpreterState_Get();
  PyThreadState* here = PyEval_SaveThread();

  int ends[2];
  pthread_t second;
  FILE* said = fopen("second.json", "w");
  if (said == NULL || pipe(ends) != 0 || pthread_create(&second, NULL, run_second, &ends[1]) != 0) return 1;
  char byte = 0;
  while (byte != '\n') {
    if (read(ends[0], &byte, 1) != 1) return 1;
    fputc(byte, said);
  }
  fclose(said);

  PyEval_RestoreThread(here);
  run(1);
  return 0;
}
