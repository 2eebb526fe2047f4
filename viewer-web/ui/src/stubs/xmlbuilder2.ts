// Stands in for xmlbuilder2: vtk.js imports it for XML file formats that this application never reads.
const refuse = (): never => {
  throw new Error('XML file formats are not part of this application');
};
export const create = refuse;
export const fragment = refuse;
