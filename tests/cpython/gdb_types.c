/* The types of greenlet's objects, for GDB: as a greenlet built with debug information has them. Only its
 * debug information is used; see check_gdb_python. */
#include <Python.h>

typedef struct _greenlet {
  PyObject ob_base;
  PyObject* weakreflist;
  PyObject* dict;
  void* pimpl;
} PyGreenlet;

PyGreenlet coppice_test_greenlet;
PyTypeObject coppice_test_type;
