// Two functions of C that call one of Python, and can be told apart by their names.
//
//     left(function, number), right(function, number) -> function()
//
// `number` lies in the C frame meanwhile: with another one each time no two stacks have the same bytes.
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03080000
#include <Python.h>

static PyObject* left(PyObject* self, PyObject* arguments) {
  (void)self;
  PyObject* function = NULL;
  long long number = 0;
  if (!PyArg_ParseTuple(arguments, "OL", &function, &number)) return NULL;
  volatile long long kept = number;
  PyObject* result = PyObject_CallFunctionObjArgs(function, NULL);
  (void)kept;
  return result;
}

static PyObject* right(PyObject* self, PyObject* arguments) {
  (void)self;
  PyObject* function = NULL;
  long long number = 0;
  if (!PyArg_ParseTuple(arguments, "OL", &function, &number)) return NULL;
  volatile long long kept = -number;
  PyObject* result = PyObject_CallObject(function, NULL);
  (void)kept;
  return result;
}

static PyMethodDef methods[] = {
    {"left", left, METH_VARARGS, NULL},
    {"right", right, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "sides", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_sides(void) {
  return PyModule_Create(&module);
}
