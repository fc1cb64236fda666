// The Python face of the kernels: of the `cpu.py` of each operation.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "../gmsd/calls.hpp"
#include "../smooth/calls.hpp"
#include "../ssim/calls.hpp"
#include "instruction_sets.hpp"

namespace nb = nanobind;

NB_MODULE(_cpu, m) {
  using namespace lookalike;
  const auto no_gil = nb::call_guard<nb::gil_scoped_release>();
  nb::set_leak_warnings(false);  // windows are kept in a Python cache until the process ends

  m.def("instruction_set", &instruction_set);
  m.def("instruction_sets", &instruction_sets);
  m.def("use_instruction_set", &use_instruction_set, nb::arg("name"));

  nb::class_<Window>(m, "Window")
      .def(nb::init<const std::vector<double>&, int, double, double>(), nb::arg("taps"), nb::arg("border"),
           nb::arg("c1"), nb::arg("c2"));
  nb::class_<Images>(m, "Images")
      .def("__init__", [](Images* images, Shape shape, Address x, Strides x_strides, Address y, Strides y_strides,
                          bool bytes, Address mask, Strides mask_strides) {
        new (images) Images{shape, x, x_strides, y, y_strides, bytes, mask, mask_strides};
      }, nb::arg("shape"), nb::arg("x"), nb::arg("x_strides"), nb::arg("y"), nb::arg("y_strides"), nb::arg("bytes"),
         nb::arg("mask") = 0, nb::arg("mask_strides") = Strides{});
  nb::class_<Upstream>(m, "Upstream")
      .def("__init__", [](Upstream* upstream, float ssim, float cs, float l1, Address scales, Address ssim_map,
                          Address cs_map) { new (upstream) Upstream{ssim, cs, l1, scales, ssim_map, cs_map}; },
           nb::arg("ssim") = 0.f, nb::arg("cs") = 0.f, nb::arg("l1") = 0.f, nb::arg("scales") = 0,
           nb::arg("ssim_map") = 0, nb::arg("cs_map") = 0);

  m.def("forward", &forward, no_gil);
  m.def("look", &look, no_gil);
  m.def("gradient", &gradient, no_gil);
  m.def("rescale", &rescale, no_gil);
  m.def("pyramid", &pyramid, no_gil);
  m.def("collapse", &collapse, no_gil);
  m.def("halved_shape", &halved_shape);
  m.def("gradient_deviation", &gradient_deviation, no_gil);
  m.def("smooth", &smooth, no_gil);
}
